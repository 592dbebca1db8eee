"""Anthropic's SDK without a framework: its tool runner, recorded by `treerings.instrument("anthropic")`.

    python examples/anthropic_sdk.py

Runs offline: a scripted server in this process plays the model. Needs anthropic.
"""

from __future__ import annotations

import treerings
from anthropic import Anthropic, beta_tool
from treerings.testing import ModelServer


@beta_tool
def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


def main() -> None:
    treerings.instrument("anthropic")
    with ModelServer() as server, Anthropic(base_url=server.url, api_key="unused") as client:
        server.call_tool("rainfall", {"year": 1976})
        server.say("Yes: 410 mm fell in 1976.", usage={"cache_read_tokens": 12})
        runner = client.beta.messages.tool_runner(
            model="claude-sonnet-4-6",
            max_tokens=1000,
            tools=[rainfall],
            messages=[{"role": "user", "content": "Was 1976 a dry year?"}],
        )
        answer = runner.until_done()
        print(*(block.text for block in answer.content if block.type == "text"))
    print(treerings.flush())


if __name__ == "__main__":
    main()
