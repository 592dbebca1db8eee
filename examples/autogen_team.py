"""An AutoGen team in which one agent hands over to another, recorded by one call for the whole process.

    python examples/autogen_team.py && treerings show last

Runs offline: a scripted server in this process plays the model. Needs autogen-agentchat and autogen-ext[openai].
"""

from __future__ import annotations

import asyncio

import treerings
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import TextMentionTermination
from autogen_agentchat.teams import Swarm
from autogen_ext.models.openai import OpenAIChatCompletionClient
from treerings.testing import ModelServer


def rainfall(year: int) -> str:
    """Say how much rain a year had."""
    return f"{year}: 410 mm"


async def ask(base_url: str) -> str:
    """A researcher who looks things up and hands over to a writer who answers."""
    client = OpenAIChatCompletionClient(model="gpt-4o-mini-2024-07-18", base_url=base_url, api_key="unused")
    researcher = AssistantAgent("researcher", client, tools=[rainfall], handoffs=["writer"], max_tool_iterations=2)
    writer = AssistantAgent("writer", client, system_message="Answer in one line. End with DONE.")
    team = Swarm([researcher, writer], termination_condition=TextMentionTermination("DONE"))
    result = await team.run(task="Why is the ring of 1976 narrow?")
    await client.close()
    return result.messages[-1].to_text()


def main() -> None:
    treerings.instrument("autogen")
    with ModelServer() as server:
        server.call_tool("rainfall", {"year": 1976}, usage={"input_tokens": 320, "output_tokens": 21})
        server.call_tool("transfer_to_writer", usage={"input_tokens": 371, "output_tokens": 14})
        server.say(
            "The ring of 1976 is narrow: the year was dry. DONE", usage={"input_tokens": 402, "output_tokens": 25}
        )
        print(asyncio.run(ask(server.base_url)))
    print(treerings.flush())


if __name__ == "__main__":
    main()
