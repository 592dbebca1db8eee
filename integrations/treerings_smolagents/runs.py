"""What is known of an agent's run while it lasts."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from treerings import StopWorkflow
from treerings.context import OpenStep

__all__ = ["RUNS", "Run", "begin", "run_around"]

MAX_RUNS = 10_000
MAX_CALLS = 1_000


class Run:
    """The latest model call of one run, as far as its tools need it."""

    __slots__ = ("_asked", "last_call", "stop")

    def __init__(self) -> None:
        self._asked: list[tuple[str, Any, str | None]] = []
        self.last_call: str | None = None
        """The step of the model call that came last."""
        self.stop: StopWorkflow | None = None
        """A guard's, in code or a tool: smolagents tells the model of it, so the next call raises it again."""

    def answered(self, step: OpenStep, calls: list[dict[str, Any]]) -> None:
        """A model call ended and asked for these tools."""
        self.last_call = step.id
        self._asked = [(call["name"], call["args"], call["id"]) for call in calls[:MAX_CALLS]]

    def called(self, name: str, arguments: Any) -> dict[str, Any]:
        """The attributes of a tool call: smolagents calls a tool without the id of the call."""
        found: dict[str, Any] = {} if self.last_call is None else {"called_by": self.last_call}
        named = [call for call in list(self._asked) if call[0] == name]
        call = next((call for call in named if call[1] == arguments), named[0] if named else None)
        if call is not None:
            self._asked = [other for other in self._asked if other is not call]
            if call[2]:
                found["tool_call_id"] = call[2]
        return found


RUNS: OrderedDict[str, Run] = OrderedDict()
"""The runs under way, by the ids of their agents' steps; the latest ones."""


def begin(step: OpenStep) -> None:
    RUNS[step.id] = Run()
    while len(RUNS) > MAX_RUNS:
        RUNS.popitem(last=False)


def run_around(step: OpenStep | None) -> Run | None:
    """The innermost run around a step."""
    while step is not None:
        run = RUNS.get(step.id)
        if run is not None:
            return run
        step = step.parent
    return None
