"""CrewAI in the matrix, with its models called through LiteLLM."""

from __future__ import annotations

from matrix_cell import WITHOUT_TOOLS, AsyncTool, Tool
from matrix_crewai import INTEGRATION, _crew

__all__ = ["INTEGRATION", "NAME", "run", "run_async"]

NAME = "CrewAI/LiteLLM"


def run(base_url: str, model: str, tool: Tool, question: str) -> str:
    return str(_crew(base_url, WITHOUT_TOOLS[model], tool, question, is_litellm=True).kickoff().raw)


async def run_async(base_url: str, model: str, tool: AsyncTool, question: str) -> str:
    return str((await _crew(base_url, WITHOUT_TOOLS[model], tool, question, is_litellm=True).akickoff()).raw)
