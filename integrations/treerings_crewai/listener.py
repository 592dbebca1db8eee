"""The handlers on CrewAI's event bus: copy what an event says, on the bus's threads, and hand it on."""

from __future__ import annotations

import contextvars
import importlib
import itertools
import logging
import pkgutil
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import crewai.events.types
from crewai.events.base_events import BaseEvent
from crewai.events.event_bus import crewai_event_bus
from crewai.events.event_context import (
    SCOPE_ENDING_EVENTS,
    SCOPE_STARTING_EVENTS,
    get_current_parent_id,
    get_enclosing_parent_id,
)
from treerings import Kind, StopWorkflow, runtime
from treerings.context import OpenStep

from .assembler import Assembler
from .ends import ENDS, End
from .places import Told
from .scopes import Scopes
from .starts import STARTS, Start, agent_key, start_of, tool_key
from .text import reported, short

try:
    from crewai.execution import get_execution_uuid
except ImportError:  # before executions had ids: everything goes by the ids of events

    def get_execution_uuid() -> str | None:
        return None


try:
    from crewai.events.event_bus import is_replaying
except ImportError:  # before runs were resumed by telling their events again

    def is_replaying() -> bool:
        return False


__all__ = ["ASSEMBLER", "ambient", "drain", "listen", "stop_listening"]

logger = logging.getLogger("treerings")

ASSEMBLER = Assembler(Scopes())
LONGEST_WAIT = 30.0
"""Seconds that a flush waits for CrewAI's handlers: among them are other people's."""

_listening: dict[type[BaseEvent], Callable[[Any, Any], None]] = {}
_reported: set[str] = set()


class TreeringsFlushEvent(BaseEvent):
    """Told to nobody but us: whoever emits it waits until everything emitted before was taken up."""

    type: str = "treerings_flush"


def listen() -> None:
    """Register one handler for each class of events: the bus looks up the exact class. A second call does nothing."""
    for cls in _classes():
        handler = _handler(cls)
        if handler is not None and cls not in _listening:
            _listening[cls] = handler
            crewai_event_bus.register_handler(cls, handler)


def stop_listening() -> None:
    """Take the handlers away again."""
    while _listening:
        cls, handler = _listening.popitem()
        crewai_event_bus.off(cls, handler)


def _classes() -> Iterator[type[BaseEvent]]:
    """CrewAI's own event classes; it imports them when they are asked for."""
    for module in pkgutil.iter_modules(crewai.events.types.__path__, "crewai.events.types."):
        try:
            importlib.import_module(module.name)
        except ImportError as error:  # one that needs a package that is not installed
            logger.debug("%s is left out: %s", module.name, error)
    pending: list[type[BaseEvent]] = [BaseEvent]
    while pending:
        cls = pending.pop()
        pending.extend(cls.__subclasses__())
        if cls.__module__.startswith("crewai.events.types.") or cls is TreeringsFlushEvent:
            yield cls


def _handler(cls: type[BaseEvent]) -> Callable[[Any, Any], None] | None:
    field = cls.model_fields.get("type")
    event_type = field.default if field is not None else None
    if not isinstance(event_type, str):
        return None
    if event_type == "treerings_flush":
        return on_flush
    if event_type in STARTS or event_type in SCOPE_STARTING_EVENTS:
        return on_start
    if event_type in ENDS or event_type in SCOPE_ENDING_EVENTS:
        return on_end
    if event_type in ("llm_stream_chunk", "llm_thinking_chunk"):
        return on_chunk
    if event_type == "tool_failure_detected":
        return on_tool_failure
    return None


# CrewAI gives its state to a handler with a third parameter, of whatever sort: all of these have two.


class _Running:
    """The handlers that run at the moment."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now: set[int] = set()
        self._numbers = itertools.count()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        number = next(self._numbers)
        with self._changed:
            self._now.add(number)
        try:
            yield
        finally:
            with self._changed:
                self._now.discard(number)
                self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait for those that began by now; whether they ended."""
        with self._changed:
            begun = set(self._now)
            return self._changed.wait_for(lambda: not (begun & self._now), seconds)


_running = _Running()


def on_start(source: Any, event: Any) -> None:
    """Something began."""
    try:
        with _running.one_more():
            recorder = runtime.current_recorder()
            if recorder.enabled and not is_replaying():
                ASSEMBLER.started(recorder, _told(event), start_of(recorder, source, event))
    except Exception as error:
        _report(event, error)


def on_end(source: Any, event: Any) -> None:
    """Something ended."""
    try:
        with _running.one_more():
            recorder = runtime.current_recorder()
            if recorder.enabled and not is_replaying():
                read = ENDS.get(event.type)
                ASSEMBLER.ended(
                    recorder, _told(event), read(recorder, source, event) if read is not None else End(None)
                )
    except Exception as error:
        _report(event, error)


def on_chunk(source: Any, event: Any) -> None:
    """A part of an answer; the bus calls this inline, on the thread that reads the stream."""
    try:
        recorder = runtime.current_recorder()
        if recorder.enabled:
            ASSEMBLER.chunk(recorder, event.call_id)
    except Exception as error:
        _report(event, error)


def on_tool_failure(source: Any, event: Any) -> None:
    """A tool failed. Only arguments that cannot be read are told with nothing else: all others have a start and an end."""
    try:
        recorder = runtime.current_recorder()
        if not recorder.enabled or is_replaying() or event.failure.code != "json_decode_error":
            return
        told = _told(event)
        key = tool_key(event)
        said = Start(
            Kind.TOOL,
            short(event.tool_name) or "tool",
            key,
            recorder.snapshot(event.tool_args),
            agent=agent_key(event.agent_id, event.task_id),
            task_id=event.task_id,
        )
        ASSEMBLER.started(recorder, told, said)
        end = End(key, attributes={"failure": event.failure.code})
        end.status, end.error = end.status.ERROR, reported(event.failure.message)
        told.started_id = told.event_id
        ASSEMBLER.ended(recorder, told, end)
    except Exception as error:
        _report(event, error)


def on_flush(source: Any, event: Any) -> None:
    """Nothing to do: that it is called is what is waited for."""


def _told(event: Any) -> Told:
    return Told(
        event.event_id,
        event.parent_event_id,
        event.started_event_id,
        event.type,
        _nanoseconds(event.timestamp),
        get_execution_uuid(),
        _state(),
    )


def _nanoseconds(moment: datetime) -> int:
    """UTC; exact, which `timestamp()` as a float is not."""
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def _state() -> weakref.ref[Any] | None:
    try:
        state = crewai_event_bus.runtime_state
        return None if state is None else weakref.ref(state)
    except (AttributeError, TypeError):  # a version that keeps none
        return None


def _report(event: Any, error: Exception) -> None:
    """Log a failure of ours, once for each type of event. A guard's stop is none, and has nobody to stop here."""
    if isinstance(error, StopWorkflow):
        return
    event_type = str(getattr(event, "type", "?"))
    if event_type not in _reported and len(_reported) < 1_000:
        _reported.add(event_type)
        logger.error("An event of CrewAI could not be recorded: %s", event_type, exc_info=error)


def ambient() -> OpenStep | None:
    """CrewAI's enclosing open step, for steps of other sources that start inside it."""
    event_id, uuid = get_current_parent_id(), get_execution_uuid()
    if (event_id is None and uuid is None) or not _listening:
        return None
    try:
        return ASSEMBLER.ambient(event_id, get_enclosing_parent_id(), uuid)
    except Exception as error:
        _report(None, error)
        return None


def drain(seconds: float | None) -> None:
    """Wait until the handlers of everything that was emitted so far have run: CrewAI returns from a kickoff before."""
    if not _listening:
        return
    recorder = runtime.current_recorder()
    before_ns = recorder.clock.time_ns()
    if catch_up(LONGEST_WAIT if seconds is None else min(seconds, LONGEST_WAIT)):
        ASSEMBLER.settle(recorder, before_ns)


def catch_up(seconds: float = 0.05) -> bool:
    """Wait until everything emitted so far was told to us; whether it was.

    The bus's own `flush` does not wait for classes of events that also have an asynchronous handler. An event of ours
    goes through the same pool, in a context of its own, so that it leaves no trace in anybody's run.
    """
    bus = crewai_event_bus
    if threading.current_thread().name.startswith("CrewAI"):  # one of the handlers that would be waited for
        return False
    if not getattr(bus, "_has_pending_events", True) or bus._shutting_down:  # older versions do not keep count
        return True
    try:
        done = contextvars.Context().run(bus.emit, None, TreeringsFlushEvent())
        if done is not None:
            done.result(seconds)
    except TimeoutError:
        return False
    except RuntimeError:  # the interpreter goes down: it has waited for the pool
        return True
    return _running.wait(seconds) and bus.flush(seconds)


ASSEMBLER.lookup, ASSEMBLER.catch_up = ambient, catch_up
