"""AutoGen for the whole process: agents, teams, model clients and tools, classes to come included."""

from __future__ import annotations

import asyncio
import warnings

from treerings.context import add_ambient

from . import events
from .agents import AGENTS
from .models import CLIENTS
from .places import handled_team
from .teams import TEAM_METHODS
from .tools import FUNCTION_TOOLS, TOOLS, WORKBENCHES

__all__ = ["instrument", "probe", "uninstrument"]

_METHODS = (AGENTS, TEAM_METHODS, CLIENTS, TOOLS, WORKBENCHES, FUNCTION_TOOLS)

add_ambient(handled_team)


def instrument() -> None:
    """Record every agent, team, model call and tool of this process; a second call does nothing."""
    for methods in _METHODS:
        methods.wrap()
    events.listen()


def uninstrument() -> None:
    """Give every class its own methods back, and the event log its `info`."""
    for methods in _METHODS:
        methods.unwrap()
    events.stop_listening()


def probe(base_url: str) -> None:
    """Run a team of one agent that calls one tool, on the scripted server at `base_url`."""
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import MaxMessageTermination
    from autogen_agentchat.teams import RoundRobinGroupChat
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    async def run() -> None:
        client = OpenAIChatCompletionClient(model="gpt-4o-mini", base_url=base_url, api_key="unused", max_retries=0)
        agent = AssistantAgent("probe", model_client=client, tools=[ring_count])
        team = RoundRobinGroupChat([agent], termination_condition=MaxMessageTermination(2))
        await team.run(task="How old is the oak?")
        await client.close()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the model's name is resolved in a table of dated names
        asyncio.run(run())
