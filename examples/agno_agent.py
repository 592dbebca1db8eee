"""An agno agent with one tool, recorded without a change to it.

    python examples/agno_agent.py

Runs offline: a scripted server in this process plays the model. Needs agno and openai.
"""

from __future__ import annotations

import treerings
from agno.agent import Agent
from agno.models.openai import OpenAIChat
from treerings.testing import ModelServer


def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


def main() -> None:
    treerings.instrument("agno")
    with ModelServer() as server:
        server.call_tool("rainfall", {"year": 1976}).say("Yes, 1976 was dry.")
        model = OpenAIChat(id="gpt-5-mini", base_url=server.base_url, api_key="unused")
        agent = Agent(name="forester", model=model, tools=[rainfall], telemetry=False)
        print(agent.run("Was 1976 a dry year?").content)
    print(treerings.flush())


if __name__ == "__main__":
    main()
