"""Pydantic AI for the whole process: our capability in every run of every agent."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from pydantic_ai import Agent

from . import report
from .capability import Treerings

__all__ = ["instrument", "probe", "uninstrument"]

_capability = Treerings()
_iter: Callable[..., Any] | None = None


def instrument() -> None:
    """Record every run of this process; a second call does nothing.

    A capability can be given to an agent and to a run, but not to all: so `Agent.iter`, by which every run goes, is given
    ours beside the caller's. Nothing of Pydantic AI's own instrumentation is switched on.
    """
    global _iter
    if _iter is not None:
        return
    original = _iter = Agent.iter

    @functools.wraps(original)
    def iter(self: Any, *args: Any, capabilities: Any = None, **kwargs: Any) -> Any:
        if not _in_durable_workflow():
            try:
                capabilities = [*(capabilities or ()), _capability]
            except TypeError as error:  # the call itself will say what is wrong with them
                report.once("Agent.iter", error)
        return original(self, *args, capabilities=capabilities, **kwargs)

    setattr(Agent, "iter", iter)  # noqa: B010  # mypy knows no assigned methods


def uninstrument() -> None:
    """Give `Agent` its own method back; runs that are open are recorded to their end."""
    global _iter
    if _iter is not None:
        setattr(Agent, "iter", _iter)  # noqa: B010
        _iter = None


def _in_durable_workflow() -> bool:
    """Temporal refuses capabilities that its worker does not know, and replays the code around them."""
    workflow = sys.modules.get("temporalio.workflow")
    return workflow is not None and bool(workflow.in_workflow())


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=base_url, api_key="unused"))
    agent = Agent(model, name="probe")

    @agent.tool_plain
    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    agent.run_sync("How old is the oak?")
