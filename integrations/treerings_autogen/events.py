"""AutoGen's event log: what providers answered, heard without a trace in the program's logging."""

from __future__ import annotations

import logging
from typing import Any

from autogen_core import EVENT_LOGGER_NAME
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent
from treerings import Kind, runtime
from treerings.claims import claim_call

from . import payloads
from .models import SOURCE, call_around, counted, read_response
from .places import place

__all__ = ["listen", "stop_listening"]

logger = logging.getLogger("treerings")


class _OurLevel(int):
    """INFO, told apart from an INFO that the program sets."""


_LEVEL = _OurLevel(logging.INFO)


class _Listener(logging.Filter):
    """Hears every event, and lets pass what the program's own level lets pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        event = record.msg
        if isinstance(event, LLMCallEvent | LLMStreamEndEvent):
            try:
                _heard(event)
            except Exception as error:  # logging calls us: what is raised here would end the model call
                logger.error("A model call's event is not recorded", exc_info=error)
        return record.levelno >= _level_without_us()


_listener = _Listener()
_level_before = logging.NOTSET


def listen() -> None:
    """Hear the events; a second call does nothing.

    They are logged at INFO, below the usual level: the logger's level is lowered, and the filter holds back what would
    not have been logged without us. A level that the program sets later is the program's.
    """
    global _level_before
    events = logging.getLogger(EVENT_LOGGER_NAME)
    if _listener in events.filters:
        return
    _level_before = events.level
    if not events.isEnabledFor(logging.INFO) and events.manager.disable < logging.INFO:
        events.setLevel(_LEVEL)
    events.addFilter(_listener)


def stop_listening() -> None:
    """Leave the logger as it was."""
    events = logging.getLogger(EVENT_LOGGER_NAME)
    events.removeFilter(_listener)
    if events.level is _LEVEL:
        events.setLevel(_level_before)


def _level_without_us() -> int:
    events = logging.getLogger(EVENT_LOGGER_NAME)
    if events.level is not _LEVEL:
        return events.getEffectiveLevel()
    if _level_before:
        return _level_before
    return events.parent.getEffectiveLevel() if events.parent is not None else logging.WARNING


def _heard(event: LLMCallEvent | LLMStreamEndEvent) -> None:
    said: dict[str, Any] = event.kwargs  # never str(event): it serialises everything, and raises where it cannot
    call = call_around()
    if call is not None:
        call.heard(said.get("response"))
        return
    recorder = runtime.current_recorder()
    if not recorder.enabled:
        return
    read = read_response(said.get("response"))
    usage = read.usage or counted(event)
    parent = place()
    claimed = None
    if parent is not None:
        claimed = claim_call(parent.workflow_id, response_id=read.attributes.get("response_id"), parent=parent)
    if claimed is not None:
        recorder.update(claimed, usage=usage, model=read.model, attributes=read.attributes or None)
        return
    step = recorder.start(
        Kind.LLM,
        read.model or "model call",
        source=SOURCE,
        parent=parent,
        input=payloads.taken(said.get("messages")),
        model=read.model,
    )
    recorder.end(
        step,
        output=payloads.taken(said.get("response")),
        usage=usage,
        attributes={**read.attributes, "told_late": True},
    )
