"""The agent runs that are open, by the framework's run id."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

from treerings import Recorder
from treerings.context import OpenStep, add_ambient, current_step, innermost

__all__ = ["RUNS", "Run", "Runs"]


class Run:
    """One run of an agent."""

    __slots__ = ("calls", "owner", "recorder", "step", "streaming")

    def __init__(self, step: OpenStep, recorder: Recorder, owner: object) -> None:
        self.step = step
        self.recorder = recorder
        self.owner = owner
        """The capability that records it: an agent may have one of its own beside that of `instrument`."""
        self.streaming: OpenStep | None = None
        """The model call whose answer is being streamed."""
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

    def streaming(self) -> OpenStep | None:
        """The streamed model call that the running code is part of, for the steps of a provider's SDK.

        The framework opens a stream where it is read first: in its reader's task, where no variable knows of the call, but
        with a model's `request_stream` on the stack. What the reader does between the chunks is no part of the call.
        """
        if not any(run.streaming is not None for run in list(self._open.values())):
            return None
        run = self._open.get(_requesting())
        return None if run is None or run.streaming is None or run.streaming.ended else run.streaming

    def parent(self, run: Run | None) -> OpenStep | None:
        """The step of the run, or what is open inside of it here."""
        given = None if run is None else run.step.nearest_open()
        return innermost(given, current_step())


def _requesting() -> Any:
    """The id of the run in whose streamed request the running code is."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "request_stream":
            context = frame.f_locals.get("run_context")
            if context is not None:
                return getattr(context, "run_id", None)
        frame = frame.f_back  # type: ignore[assignment]  # None at the outermost
    return None


RUNS = Runs()
add_ambient(RUNS.streaming, on_stack=True)
