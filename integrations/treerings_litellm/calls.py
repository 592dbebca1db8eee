"""The calls that LiteLLM is at: by call id, and by the frames of the code that is running."""

from __future__ import annotations

import sys
import time
import weakref
from collections import OrderedDict, deque
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from treerings.context import OpenStep
    from treerings.recorder import Recorder

__all__ = ["CALLS", "Call", "Calls", "told_by"]


class Call:
    """One call of LiteLLM's, with the attempt that is open now."""

    __slots__ = (
        "attempt",
        "error",
        "id",
        "is_stream",
        "logging",
        "parent",
        "recorder",
        "said",
        "said_ns",
        "sent",
        "step",
    )

    def __init__(self, id: str, parent: OpenStep | None = None) -> None:
        self.id = id
        self.parent = parent
        """What enclosed the call when it began."""
        self.step: OpenStep | None = None
        self.recorder: Recorder | None = None
        self.attempt = 0
        self.is_stream = False
        self.sent: object = None
        """When the request went out: one object for all loggers that are told of it."""
        self.said_ns = 0
        self.said: str | None = None
        """What came back of the provider's SDK: the answer as text, or an error's."""
        self.error: BaseException | None = None
        """How an attempt failed, until its end is recorded."""
        self.logging: weakref.ref[Any] | None = None


class Calls:
    """At most `max_open` open calls (the oldest are forgotten) and the ids of the latest `max_ended` ended ones.

    A call that is cancelled, and a stream that nobody reads to its end, end without a word: LiteLLM's object for the call
    is then garbage. `gone` has the ids of those, with the time; they are looked at outside of the collector.
    """

    def __init__(self, *, max_open: int = 10_000, max_ended: int = 2_000) -> None:
        self._open: OrderedDict[str, Call] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._max_open = max_open
        self._max_ended = max_ended
        self._wrappers: frozenset[CodeType] = frozenset()
        self.gone: deque[tuple[str, int]] = deque(maxlen=max_open)

    def __len__(self) -> int:
        return len(self._open)

    def get(self, id: str) -> Call | None:
        return self._open.get(id)

    def ended(self, id: str) -> bool:
        return id in self._ended

    def begin(self, id: str, parent: OpenStep | None = None) -> Call:
        """The call with this id, which is added when it is new."""
        call = self._open.get(id)
        if call is None:
            call = self._open[id] = Call(id, parent)
            if len(self._open) > self._max_open:
                _pop_oldest(self._open)
        return call

    def watch(self, call: Call, logging: object) -> None:
        """Look out for the end of LiteLLM's own object for this call."""
        if call.logging is None or call.logging() is not logging:
            id, gone = call.id, self.gone

            def notice(_: object) -> None:  # in the garbage collector: nothing that could take a lock
                gone.append((id, time.time_ns()))

            try:
                call.logging = weakref.ref(logging, notice)
            except TypeError:  # None, or a class without weak references
                return

    def end(self, id: str) -> Call | None:
        call = self._open.pop(id, None)
        self._ended[id] = None
        if len(self._ended) > self._max_ended:
            _pop_oldest(self._ended)
        return call

    def clear(self) -> None:
        self._open.clear()
        self._ended.clear()
        self.gone.clear()

    def know(self, client: Any) -> None:
        """Learn the code of the functions that `litellm.utils.client` puts around every call."""
        self._wrappers = frozenset(
            code
            for code in client.__code__.co_consts
            if isinstance(code, CodeType) and code.co_name in ("wrapper", "wrapper_async")
        )

    def running(self) -> OpenStep | None:
        """The open step of the innermost call that the running code is part of.

        A call that has returned may be open for long, until LiteLLM says on another thread how it went. So no variable
        tells; the frames do: the call's own function is on the stack as long as it runs, over awaits too.
        """
        if not self._open:
            return None
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code in self._wrappers:
                call = self._open.get(getattr(frame.f_locals.get("logging_obj"), "litellm_call_id", ""))
                if call is not None and call.step is not None and not call.step.ended:
                    return call.step
            frame = frame.f_back  # type: ignore[assignment]  # None at the outermost
        return None


def told_by(frame: Any) -> object:
    """LiteLLM's object for the call: it is nowhere in what a logger is given, but it is what calls us."""
    for _ in range(4):
        logging = None if frame is None else frame.f_locals.get("self")
        if hasattr(logging, "model_call_details"):
            return logging
        frame = None if frame is None else frame.f_back
    return None


def _pop_oldest(table: OrderedDict[str, Any]) -> None:
    try:
        table.popitem(last=False)
    except KeyError:  # another thread was quicker
        return


CALLS = Calls()
