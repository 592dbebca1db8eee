"""The agent runs that are open, by the framework's run id."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from treerings import Recorder
from treerings.context import OpenStep, current_step, innermost

__all__ = ["RUNS", "Run", "Runs"]


class Run:
    """One run of an agent."""

    __slots__ = ("calls", "owner", "recorder", "step")

    def __init__(self, step: OpenStep, recorder: Recorder, owner: object) -> None:
        self.step = step
        self.recorder = recorder
        self.owner = owner
        """The capability that records it: an agent may have one of its own beside that of `instrument`."""
        self.calls: dict[str, str] = {}
        """The model call that asked for each tool call, by tool-call id."""


class Runs:
    """At most `max_open` runs; the oldest are forgotten, what they still do is then recorded by what encloses it."""

    def __init__(self, *, max_open: int = 20_000) -> None:
        self._open: OrderedDict[str, Run] = OrderedDict()
        self._max_open = max_open

    def __len__(self) -> int:
        return len(self._open)

    def get(self, id: Any) -> Run | None:
        return self._open.get(id)

    def add(self, id: str, run: Run) -> None:
        self._open[id] = run
        if len(self._open) > self._max_open:
            try:
                self._open.popitem(last=False)
            except KeyError:  # another thread was quicker
                return

    def end(self, id: str) -> None:
        self._open.pop(id, None)

    def parent(self, run: Run | None) -> OpenStep | None:
        """The step of the run, or what is open inside of it here."""
        given = None if run is None else run.step.nearest_open()
        return innermost(given, current_step())


RUNS = Runs()
