"""OpenAI's SDK without a framework: an agent loop of your own, recorded by `treerings.instrument("openai")`.

    python examples/openai_sdk.py

Runs offline: a scripted server in this process plays the model. Needs openai.
"""

from __future__ import annotations

import json
from typing import Any

import treerings
from openai import OpenAI
from treerings.testing import ModelServer

TOOLS: Any = [{"type": "function", "function": {"name": "rainfall", "parameters": {"type": "object"}}}]


@treerings.step("tool")
def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


@treerings.step("agent", "forester")
def forester(client: OpenAI, question: str) -> str:
    """Ask the model, call the tool that it asks for, stream its answer."""
    messages: list[Any] = [{"role": "user", "content": question}]
    asked = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=TOOLS).choices[0].message
    messages.append(asked)
    for call in asked.tool_calls or ():
        if call.type == "function":
            result = rainfall(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    with client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, stream=True, stream_options={"include_usage": True}
    ) as stream:
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def main() -> None:
    treerings.instrument("openai")
    with ModelServer() as server, OpenAI(base_url=server.base_url, api_key="unused") as client:
        server.call_tool("rainfall", {"year": 1976})
        server.say("Yes: 410 mm fell in 1976.")
        print(forester(client, "Was 1976 a dry year?"))
    print(treerings.flush())


if __name__ == "__main__":
    main()
