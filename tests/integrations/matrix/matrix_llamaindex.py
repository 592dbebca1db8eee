"""LlamaIndex in the matrix: a function agent. It has no synchronous interface: a plain function gives it a loop."""

from __future__ import annotations

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from matrix_cell import AsyncTool, Tool

NAME, INTEGRATION = "LlamaIndex", "llamaindex"


async def _run(base_url: str, model: str, tool: FunctionTool, question: str) -> str:
    llm = OpenAI(model=model, api_base=base_url, api_key="unused", max_retries=0)
    agent = FunctionAgent(name="llamaindex_agent", tools=[tool], llm=llm, streaming=False)
    return str(await agent.run(question))


def run(base_url: str, model: str, tool: Tool, question: str) -> str:
    return asyncio.run(_run(base_url, model, FunctionTool.from_defaults(fn=tool), question))


async def run_async(base_url: str, model: str, tool: AsyncTool, question: str) -> str:
    return await _run(base_url, model, FunctionTool.from_defaults(async_fn=tool), question)
