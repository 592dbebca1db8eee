"""A crew of two: one looks things up with a tool, one writes; nothing changed in their code.

    python examples/crewai_crew.py && treerings show last

Runs offline: a scripted server in this process plays the models. Needs crewai.
"""

from __future__ import annotations

import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

import treerings
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from treerings.testing import ModelServer


@tool
def rainfall(year: int) -> str:
    """Say how much rain a year had."""
    return f"{year}: 410 mm"


def team(base_url: str) -> Crew:
    """A researcher who looks things up, then a writer who answers."""

    def worker(role: str, model: str, **options: object) -> Agent:
        llm = LLM(model=f"openai/{model}", base_url=base_url, api_key="unused")
        return Agent(role=role, goal="Read tree rings.", backstory="A forester.", llm=llm, **options)

    researcher, writer = worker("researcher", "gpt-4o-mini", tools=[rainfall]), worker("writer", "gpt-4o")
    tasks = [
        Task(name="look up", description="How much rain had 1976?", expected_output="Millimetres.", agent=researcher),
        Task(name="write", description="Why is the ring of 1976 narrow?", expected_output="A line.", agent=writer),
    ]
    return Crew(name="ring report", agents=[researcher, writer], tasks=tasks)


def main() -> None:
    treerings.instrument("crewai")
    with ModelServer() as server:
        asks = server.when(model="gpt-4o-mini")
        asks.call_tool("rainfall", {"year": 1976}).say("1976 had 410 mm of rain.")
        server.when(model="gpt-4o").say("The ring of 1976 is narrow: the year was dry.")
        print(team(server.base_url).kickoff())
    print(treerings.flush())


if __name__ == "__main__":
    main()
