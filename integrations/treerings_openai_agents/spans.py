"""The traces and spans that are known, and which of them encloses the running code."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from agents.tracing import get_current_span, get_current_trace
from treerings import Recorder
from treerings.context import OpenStep, current_step, innermost

__all__ = ["SPANS", "Known", "Spans"]


class Known:
    """A trace or a span of which we were told."""

    __slots__ = ("calls", "failure", "input", "llm", "output", "parent", "recorder", "step")

    def __init__(self, step: OpenStep, recorder: Recorder, parent: Known | None, failure: int) -> None:
        self.step = step
        self.recorder = recorder
        self.parent = parent
        self.failure = failure
        """The identity of the exception that was being handled around it when it began: none of its own."""
        self.input: Any = None
        """What the first model call below was asked."""
        self.output: Any = None
        """What the last model call below answered."""
        self.llm: OpenStep | None = None
        """The last model call of this turn."""
        self.calls: list[tuple[str, str, str]] = []
        """The tool calls that it asked for: id, name, arguments."""


class Spans:
    """By id: at most `max_open` open ones (the oldest are forgotten), the latest `max_ended` ended ones for late children."""

    def __init__(self, *, max_open: int = 50_000, max_ended: int = 2_000) -> None:
        self._open: OrderedDict[str, Known] = OrderedDict()
        self._ended: OrderedDict[str, Known] = OrderedDict()
        self._max_open = max_open
        self._max_ended = max_ended

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, id: str) -> bool:
        return id in self._open or id in self._ended

    def get(self, id: str | None) -> Known | None:
        return None if id is None else self._open.get(id) or self._ended.get(id)

    def add(self, id: str, known: Known) -> None:
        self._open[id] = known
        if len(self._open) > self._max_open:
            _pop_oldest(self._open)

    def end(self, id: str) -> Known | None:
        known = self._open.pop(id, None)
        if known is not None:
            self._ended[id] = known
            if len(self._ended) > self._max_ended:
                _pop_oldest(self._ended)
        return known

    def parent(self, span: Any) -> tuple[OpenStep | None, Known | None]:
        """What to hang a new span under: the SDK's parent, or what is open inside of it here."""
        known = self.get(span.parent_id) or self.get(span.trace_id)
        given = None if known is None else known.step.nearest_open()
        return innermost(given, current_step()), known

    def running(self) -> OpenStep | None:
        """The step of the SDK's current span, else of its current trace."""
        if not self._open:
            return None
        span, trace = get_current_span(), get_current_trace()
        known = (self.get(span.span_id) if span is not None else None) or (
            self.get(trace.trace_id) if trace is not None else None
        )
        return None if known is None else known.step.nearest_open()

    def clear(self) -> None:
        self._open.clear()
        self._ended.clear()


def _pop_oldest(table: OrderedDict[str, Known]) -> None:
    try:
        table.popitem(last=False)
    except KeyError:  # another thread was quicker
        return


SPANS = Spans()
