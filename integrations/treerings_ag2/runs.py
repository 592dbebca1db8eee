"""What is known of an agent's turn while it lasts."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from treerings.context import OpenStep, current_step

__all__ = ["RUNS", "Run", "run_of"]

MAX_RUNS = 10_000
MAX_CALLS = 1_000


class Run:
    """One turn of an agent."""

    __slots__ = ("asked_by", "by", "done", "failed_calls", "step", "stream")

    def __init__(self, step: OpenStep, stream: Any, by: Any) -> None:
        self.step = step
        self.stream = stream
        self.by = by
        """What records it: an agent may have the middleware twice."""
        self.asked_by: dict[str, str] = {}
        """The ids of the model calls' steps by the ids of the tool calls that they asked for."""
        self.done: set[str] = set()
        """The ids of the tool calls that have steps."""
        self.failed_calls = 0
        """Model calls that failed since one succeeded."""

    def asked(self, call_id: str, step: OpenStep) -> None:
        """A model call asked for a tool call."""
        if len(self.asked_by) < MAX_CALLS:
            self.asked_by[call_id] = step.id

    def tool_started(self, call_id: str) -> dict[str, str]:
        """A tool call has its step now; the attributes that say which it is."""
        if len(self.done) < MAX_CALLS:
            self.done.add(call_id)
        attributes = {"tool_call_id": call_id}
        if call_id in self.asked_by:
            attributes["called_by"] = self.asked_by[call_id]
        return attributes


RUNS: OrderedDict[str, Run] = OrderedDict()
"""The turns that last, by step id."""


def add(run: Run) -> None:
    """Say that a turn began."""
    RUNS[run.step.id] = run
    if len(RUNS) > MAX_RUNS:
        RUNS.popitem(last=False)


def run_of(stream: Any) -> Run | None:
    """The turn on this stream in which the running code is."""
    step = current_step()
    while step is not None:
        run = RUNS.get(step.id)
        if run is not None and run.stream is stream:
            return run
        step = step.parent
    return None
