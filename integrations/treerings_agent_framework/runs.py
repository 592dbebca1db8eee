"""What is known of an agent's run while it lasts."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from treerings.context import OpenStep

__all__ = ["RUNS", "Run", "run_around"]

MAX_RUNS = 10_000
MAX_CALLS = 1_000


class Run:
    """The model calls of one run, as far as its tools need them."""

    __slots__ = ("asked", "done", "failed_calls")

    def __init__(self) -> None:
        self.asked: dict[str, tuple[str, str]] = {}
        """Name of the tool and step of the model call that asked for it, by the id of the tool call."""
        self.done: set[str] = set()
        """The tool calls that have steps."""
        self.failed_calls = 0
        """Model calls that failed since one succeeded."""

    def asks(self, call_id: Any, name: Any, step: OpenStep) -> None:
        if isinstance(call_id, str) and len(self.asked) < MAX_CALLS:
            self.asked[call_id] = (str(name), step.id)

    def begins(self, call_id: Any) -> dict[str, Any]:
        """The attributes of a tool call that begins."""
        if not isinstance(call_id, str):
            return {}
        if len(self.done) < MAX_CALLS:
            self.done.add(call_id)
        asked = self.asked.get(call_id)
        return {"tool_call_id": call_id} if asked is None else {"tool_call_id": call_id, "called_by": asked[1]}


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
