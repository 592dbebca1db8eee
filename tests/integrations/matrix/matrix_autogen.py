"""AutoGen in the matrix: a team of one agent. It has no synchronous interface: a plain function gives it a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from matrix_cell import AsyncTool, Tool

NAME, INTEGRATION = "AutoGen", "autogen"


async def _run(base_url: str, model: str, tool: Callable[..., Any], question: str) -> str:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url, api_key="unused", max_retries=0)
    try:
        agent = AssistantAgent("autogen_agent", model_client=client, tools=[tool], reflect_on_tool_use=True)
        team = RoundRobinGroupChat([agent], termination_condition=MaxMessageTermination(2))
        return str((await team.run(task=question)).messages[-1])
    finally:
        await client.close()


def run(base_url: str, model: str, tool: Tool, question: str) -> str:
    return asyncio.run(_run(base_url, model, tool, question))


async def run_async(base_url: str, model: str, tool: AsyncTool, question: str) -> str:
    return await _run(base_url, model, tool, question)
