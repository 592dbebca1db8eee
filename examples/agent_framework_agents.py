"""Two agents of Microsoft's Agent Framework, one the tool of the other, recorded without a change to them.

    python examples/agent_framework_agents.py

Runs offline: a scripted server in this process plays the model. Needs agent-framework-core and agent-framework-openai.
"""

from __future__ import annotations

import asyncio

import treerings
from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient
from treerings.testing import ModelServer


def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


async def ask(base_url: str) -> str:
    """A writer who lets a researcher look things up."""
    client = OpenAIChatCompletionClient(model="gpt-4o-mini", base_url=base_url, api_key="unused")
    researcher = Agent(client=client, name="researcher", tools=[rainfall])
    writer = Agent(client=client, name="writer", tools=[researcher.as_tool(description="Looks things up.")])
    return (await writer.run("Why is the ring of 1976 narrow?")).text


def main() -> None:
    treerings.instrument("agent-framework")
    with ModelServer() as server:
        server.call_tool("researcher", {"task": "The rain of 1976."})
        server.call_tool("rainfall", {"year": 1976}).say("1976 had 410 mm of rain.")
        server.say("The ring of 1976 is narrow: the year was dry.")
        print(asyncio.run(ask(server.base_url)))
    print(treerings.flush())


if __name__ == "__main__":
    main()
