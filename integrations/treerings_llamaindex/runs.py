"""Runs of workflows: which agent is at work, who asked for which tool, which steps wait to be run again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from treerings.context import OpenStep

from .spans import Span

try:  # what the running step of a workflow is working on
    from workflows.runtime.types.results import StepWorkerStateContextVar
except ImportError:  # an older version
    StepWorkerStateContextVar = None  # type: ignore[assignment]

__all__ = ["Run", "Runs", "work_item"]


class Run:
    """One run of a workflow, an agent, or a team of agents."""

    __slots__ = ("agent", "agent_name", "asked", "id", "is_agent", "is_team", "output", "span", "waiting")

    def __init__(self, id: str | None, span: Span, *, is_agent: bool, is_team: bool) -> None:
        self.id = id
        self.span = span
        self.is_agent = is_agent
        self.is_team = is_team
        self.agent: OpenStep | None = None
        """Of a team: the step of the agent at work. Its turns, one after the other, are one step."""
        self.agent_name: str | None = None
        self.output: Any = None
        """What the agent at work said last."""
        self.asked: dict[str, str] = {}
        """The model call that asked for each tool call, by tool-call id."""
        self.waiting: OrderedDict[tuple[str, str], tuple[Span, int]] = OrderedDict()
        """Steps that came back with nothing, and when: they may wait for an event and run again."""

    @property
    def inside(self) -> OpenStep | None:
        """What the agent's own steps belong to."""
        return self.agent or self.span.step


class Runs:
    """Runs by LlamaIndex's run id, the latest `limit`."""

    def __init__(self, *, limit: int = 10_000) -> None:
        self._limit = limit
        self._known: OrderedDict[str, Run] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, run: Run) -> None:
        if run.id is not None:
            self._known[run.id] = run
            if len(self._known) > self._limit:
                try:
                    self._known.popitem(last=False)
                except KeyError:  # another thread was quicker
                    pass

    def get(self, id: object) -> Run | None:
        return self._known.get(id) if isinstance(id, str) else None

    def end(self, run: Run) -> None:
        if run.id is not None and self._known.get(run.id) is run:
            self._known.pop(run.id, None)

    def clear(self) -> None:
        self._known.clear()


def work_item() -> tuple[str | None, int]:
    """The id of what the running workflow step works on, the same when it is run again, and how often it failed."""
    context = StepWorkerStateContextVar.get(None) if StepWorkerStateContextVar is not None else None
    if context is None:
        return None, 0
    state, retry = getattr(context, "state", None), getattr(context, "retry", None)
    item = getattr(state, "work_item_id", None)
    failed = getattr(retry, "retry_number", 0)
    return (item if isinstance(item, str) else None), (failed if isinstance(failed, int) else 0)
