"""agno for the whole process: its agents, teams, workflows, models and tools."""

from __future__ import annotations

from . import patches

__all__ = ["instrument", "probe", "uninstrument"]


def instrument() -> None:
    """Record every run of this process; a second call does nothing."""
    patches.wrap()


def uninstrument() -> None:
    """Give agno its own methods back; runs that are under way are recorded to their end."""
    patches.unwrap()


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from agno.agent import Agent
    from agno.models.openai import OpenAIChat

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    model = OpenAIChat(id="gpt-4o-mini", base_url=base_url, api_key="unused", max_retries=0)
    Agent(name="probe", model=model, tools=[ring_count], telemetry=False).run("How old is the oak?")
