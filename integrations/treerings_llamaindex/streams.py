"""Generators that LlamaIndex gave out: whose code runs now, and which were thrown away unread."""

from __future__ import annotations

import sys
import types
import weakref
from collections import deque
from itertools import islice
from typing import Any

from .spans import Span

__all__ = ["Streams"]

DEEPEST = 1_000
"""Frames that are looked through for a generator."""


class Streams:
    """Open generators and the spans that they belong to; the latest `limit`.

    A generator's body runs after its span, wherever it is read: model calls in it have no parent, or a wrong one. The
    call stack says it, whatever the thread and the context: the generator's frame is on it. Nothing is read from it.
    """

    def __init__(self, *, limit: int = 10_000) -> None:
        self._limit = limit
        self._open: dict[int, tuple[weakref.ref[Any], Span]] = {}
        self.collected: deque[Span] = deque(maxlen=limit)
        """The spans of generators that were thrown away; ended by the caretaker, since anything may run when they are."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, generator: Any, span: Span) -> None:
        """Follow this generator for the span; one that another span has is left with that one."""
        frame = _frame(generator)
        if frame is None:
            return
        key = id(frame)  # the frame's object lives as long as the generator is unfinished
        known = self._open.get(key)
        if known is not None and known[0]() is generator:
            return

        def collected(_: object) -> None:
            entry = self._open.get(key)
            if entry is not None and entry[0] is reference:
                self._open.pop(key, None)
            self.collected.append(span)

        reference = weakref.ref(generator, collected)
        self._open[key] = (reference, span)
        if len(self._open) > self._limit:
            for oldest in list(islice(self._open, len(self._open) - self._limit)):
                self._open.pop(oldest, None)

    def running(self) -> Span | None:
        """The span of the innermost of these generators whose code runs here; None outside of all."""
        known = self._open
        if not known:
            return None
        frame: types.FrameType | None = sys._getframe(1)
        for _ in range(DEEPEST):
            if frame is None:
                return None
            entry = known.get(id(frame))
            if entry is not None and _frame(entry[0]()) is frame:
                return entry[1]
            frame = frame.f_back
        return None

    def clear(self) -> None:
        self._open.clear()
        self.collected.clear()


def _frame(generator: Any) -> types.FrameType | None:
    """The frame of a generator that is not finished."""
    if isinstance(generator, types.GeneratorType):
        return generator.gi_frame
    if isinstance(generator, types.AsyncGeneratorType):
        frame: types.FrameType | None = generator.ag_frame
        return frame
    return None
