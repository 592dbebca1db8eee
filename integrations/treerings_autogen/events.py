"""AutoGen's event log: what providers answered, heard without a trace in the program's logging."""

from __future__ import annotations

import functools
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


def listen() -> None:
    """Hear the events; a second call does nothing.

    They are logged at INFO, below the usual level, so a handler or a filter hears of them only where the logger's level is
    lowered for the whole program. We look at what is given to the logger's `info` instead: levels, handlers, filters and
    propagation stay the program's, and no record is made that it does not want.
    """
    events: Any = logging.getLogger(EVENT_LOGGER_NAME)
    before = events.__dict__.get("info")
    if hasattr(before, "treerings_before"):
        return
    original = events.info

    @functools.wraps(original)
    def info(msg: object, *args: Any, **kwargs: Any) -> None:
        if isinstance(msg, LLMCallEvent | LLMStreamEndEvent):
            try:
                _heard(msg)
            except Exception as error:  # what is raised here would end the model call
                logger.error("A model call's event is not recorded", exc_info=error)
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the record names its caller, not us
        original(msg, *args, **kwargs)

    info.treerings_before = before  # type: ignore[attr-defined]  # a mark of ours
    events.info = info


def stop_listening() -> None:
    """Leave the logger as it was."""
    events: Any = logging.getLogger(EVENT_LOGGER_NAME)
    ours = events.__dict__.get("info")
    if not hasattr(ours, "treerings_before"):
        return
    if ours.treerings_before is None:
        del events.info
    else:
        events.info = ours.treerings_before


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
