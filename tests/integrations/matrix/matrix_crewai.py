"""CrewAI in the matrix: a crew of one agent with one task."""

from __future__ import annotations

from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool as crewai_tool
from matrix_cell import AsyncTool, Tool

NAME, INTEGRATION = "CrewAI", "crewai"


def _crew(base_url: str, model: str, tool: Any, question: str, **options: Any) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url, api_key="unused", **options)
    agent = Agent(role="crewai agent", goal="Know trees.", backstory="Old.", llm=llm, tools=[crewai_tool(tool)])
    task = Task(description=question, expected_output="A sentence.", agent=agent)
    return Crew(agents=[agent], tasks=[task])


def run(base_url: str, model: str, tool: Tool, question: str) -> str:
    return str(_crew(base_url, model, tool, question).kickoff().raw)


async def run_async(base_url: str, model: str, tool: AsyncTool, question: str) -> str:
    return str((await _crew(base_url, model, tool, question).akickoff()).raw)
