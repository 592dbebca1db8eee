"""An ag2 agent that delegates to another one, recorded by one call for the whole process.

    python examples/ag2_agent.py && treerings show last

Runs offline: ag2's own scripted model answers. Needs ag2.
"""

from __future__ import annotations

import asyncio

import treerings
from ag2 import Agent
from ag2.events import ModelMessage, ModelResponse, ToolCallEvent, ToolCallsEvent, Usage
from ag2.testing import TestConfig


def calls(name: str, arguments: str, tokens: tuple[int, int]) -> ModelResponse:
    """A model's answer that asks for a tool."""
    wanted = ToolCallsEvent([ToolCallEvent(name, arguments=arguments)])
    return ModelResponse(tool_calls=wanted, usage=Usage(*tokens), model="gpt-4o-mini", provider="openai")


def says(text: str, tokens: tuple[int, int]) -> ModelResponse:
    """A model's answer in words."""
    return ModelResponse(ModelMessage(text), usage=Usage(*tokens), model="gpt-4o-mini", provider="openai")


def rainfall(year: int) -> str:
    """Say how much rain a year had."""
    return f"{year}: 410 mm"


async def ask() -> str | None:
    """A writer who lets a researcher look things up."""
    looks_up = TestConfig(
        calls("rainfall", '{"year": 1976}', (320, 21)),
        says("1976 had 410 mm of rain.", (371, 14)),
    )
    researcher = Agent("researcher", config=looks_up, tools=[rainfall])
    writes = TestConfig(
        calls("task_researcher", '{"objective": "The rain of 1976."}', (240, 18)),
        says("The ring of 1976 is narrow: the year was dry.", (402, 25)),
    )
    writer = Agent("writer", config=writes, tools=[researcher.as_tool(description="Looks things up.")])
    return (await writer.ask("Why is the ring of 1976 narrow?")).body


def main() -> None:
    treerings.instrument("ag2")
    print(asyncio.run(ask()))
    print(treerings.flush())


if __name__ == "__main__":
    main()
