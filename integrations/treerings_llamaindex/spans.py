"""The spans that are known: what LlamaIndex's exits and events do not repeat, kept from the start."""

from __future__ import annotations

import time
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Any

from treerings.context import OpenStep

if TYPE_CHECKING:
    from .calls import ModelCall
    from .runs import Run

__all__ = ["Span", "Spans"]


class Span:
    """One span, open or lately ended. It has a step of its own, or is plumbing and stands for the step around it."""

    __slots__ = (
        "__weakref__",
        "answer",
        "around",
        "batches",
        "call",
        "cancelled",
        "ended_s",
        "error",
        "held",
        "id",
        "instance_name",
        "key",
        "method",
        "open_calls",
        "parent",
        "provider",
        "request",
        "role",
        "run",
        "started_s",
        "step",
        "waiting",
    )

    def __init__(self, id: str, role: str, name: str, method: str, parent: Span | None) -> None:
        self.id = id
        self.role = role
        self.instance_name = name
        self.method = method
        self.run: Run | None = parent.run if parent is not None else None
        self.step: OpenStep | None = None
        self.around: OpenStep | None = parent.around if parent is not None else None
        """The step that what happens inside belongs to."""
        while (
            parent is not None and parent.ended_s is not None
        ):  # a run that begins the next one would chain them for ever
            parent = parent.parent
        self.parent: Span | None = parent
        """The nearest span around that is open."""
        self.call: ModelCall | None = None
        self.error: BaseException | None = None
        self.provider: str | None = None
        self.request: dict[str, Any] | None = None
        self.cancelled = False
        self.waiting = False
        self.held: tuple[Any, ...] | None = None
        """Of a span that exited with a stream to be read: what its end will say."""
        self.answer: Any = None
        self.open_calls = 0
        """Model calls that run in this span or below."""
        self.batches = 0
        self.key: tuple[str, str] | None = None
        self.started_s = time.monotonic()
        self.ended_s: float | None = None


class Spans:
    """Spans by id. At most `max_open` open ones, of which the oldest are forgotten, and the latest `max_ended` ended
    ones for `keep_s` seconds: threads and streams start their spans when the parent's has ended.

    Operations are single dictionary operations, safe under the interpreter lock.
    """

    def __init__(self, *, max_open: int = 50_000, max_ended: int = 2_000, keep_s: float = 600.0) -> None:
        self._open: dict[str, Span] = {}
        self._ended: OrderedDict[str, Span] = OrderedDict()
        self._max_open = max_open
        self._max_ended = max_ended
        self._keep_s = keep_s

    def __len__(self) -> int:
        """How many spans are open."""
        return len(self._open)

    def add(self, span: Span) -> None:
        self._open[span.id] = span
        if len(self._open) > self._max_open:
            for key in list(islice(self._open, len(self._open) - self._max_open)):
                self._open.pop(key, None)

    def open(self, id: str | None) -> Span | None:
        return self._open.get(id) if id is not None else None

    def known(self, id: str | None) -> Span | None:
        """The span with this id, open or lately ended."""
        if id is None:
            return None
        span = self._open.get(id)
        if span is None:
            span = self._ended.get(id)
            if span is not None and time.monotonic() - (span.ended_s or 0.0) > self._keep_s:
                return None
        return span

    def end(self, id: str) -> Span | None:
        """Take the span out of the open ones; None when it is not open."""
        span = self._open.pop(id, None)
        if span is None:
            return None
        span.ended_s = time.monotonic()
        span.error = None  # its traceback holds what the program did
        self._ended[id] = span
        if len(self._ended) > self._max_ended:
            try:
                self._ended.popitem(last=False)
            except KeyError:  # another thread was quicker
                pass
        return span

    def clear(self) -> None:
        self._open.clear()
        self._ended.clear()
