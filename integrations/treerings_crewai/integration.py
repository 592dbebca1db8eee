"""CrewAI for the whole process: handlers on its event bus."""

from __future__ import annotations

import os

from treerings.context import add_ambient
from treerings.recorder import add_caretaker, add_drain

from .listener import ASSEMBLER, ambient, drain, listen, stop_listening

__all__ = ["instrument", "probe", "uninstrument"]

QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
}
"""CrewAI's own switches; `OTEL_SDK_DISABLED` would silence every other tracer of the process too."""

add_ambient(ambient)
add_caretaker(ASSEMBLER.tend)
add_drain(drain)


def instrument() -> None:
    """Record every crew, flow and agent of this process; a second call does nothing."""
    listen()


def uninstrument() -> None:
    """Record nothing more."""
    stop_listening()


def probe(base_url: str) -> None:
    """Run a crew whose agent calls one tool, on the scripted server at `base_url`."""
    os.environ.update(QUIET)
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    @tool
    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    llm = LLM(model="openai/gpt-4o-mini", base_url=base_url, api_key="unused")
    forester = Agent(role="forester", goal="Know trees.", backstory="Old.", llm=llm, tools=[ring_count])
    task = Task(description="How old is the oak?", expected_output="A number.", agent=forester)
    Crew(agents=[forester], tasks=[task]).kickoff()
