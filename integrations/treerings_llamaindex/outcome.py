"""How a span ended: failures apart from the control flow that travels as exceptions."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from treerings import Status, StopWorkflow
from workflows import errors

__all__ = ["is_waiting", "status_of"]

_CANCELLED: tuple[type[BaseException], ...] = (
    asyncio.CancelledError,
    GeneratorExit,  # the consumer of a stream stopped; it is told as an exception with no text
    KeyboardInterrupt,
    SystemExit,
    StopWorkflow,
    *(kind for name in ("WorkflowCancelledByUser",) if isinstance(kind := getattr(errors, name, None), type)),
)


def status_of(error: BaseException | None) -> Status:
    """The status that an exception stands for."""
    if error is None:
        return Status.OK
    return Status.CANCELLED if isinstance(error, _CANCELLED) else Status.ERROR


def is_waiting(error: Any) -> bool:
    """Whether this is the way in which `wait_for_event` leaves a step, which runs again when the event is there."""
    results = sys.modules.get("workflows.runtime.types.results")  # whoever raises it has imported it
    kind = getattr(results, "WaitingForEvent", None)
    return kind is not None and isinstance(error, kind)
