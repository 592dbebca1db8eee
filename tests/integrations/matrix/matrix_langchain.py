"""LangChain in the matrix: an agent of `create_agent`."""

from __future__ import annotations

from typing import Any

import httpx
from langchain.agents import create_agent
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from matrix_cell import AsyncTool, Tool
from pydantic import SecretStr

NAME, INTEGRATION = "LangChain", "langchain"


def _agent(base_url: str, model: str, tool: StructuredTool) -> Any:
    # the client that LangChain keeps for all holds connections of a loop that may be over
    chat = ChatOpenAI(
        model=model,
        base_url=base_url,
        api_key=SecretStr("unused"),
        max_retries=0,
        http_async_client=httpx.AsyncClient(),
    )
    return create_agent(chat, [tool], name="langchain_agent")


def run(base_url: str, model: str, tool: Tool, question: str) -> str:
    agent = _agent(base_url, model, StructuredTool.from_function(tool))
    return str(agent.invoke({"messages": [("user", question)]})["messages"][-1].content)


async def run_async(base_url: str, model: str, tool: AsyncTool, question: str) -> str:
    agent = _agent(base_url, model, StructuredTool.from_function(coroutine=tool))
    return str((await agent.ainvoke({"messages": [("user", question)]}))["messages"][-1].content)
