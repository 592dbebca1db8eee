"""Finished model calls that may be claimed: for observers that are told of a call only when it is over."""

from __future__ import annotations

import threading
from collections import OrderedDict

from .context import OpenStep

__all__ = ["claim_call", "has_called", "offer_call"]

MAX_OFFERED = 1_000
"""Calls that are kept; the oldest are let go of."""

_offered: OrderedDict[str, tuple[OpenStep, str | None]] = OrderedDict()
_lock = threading.RLock()
"""Reentrant: the garbage collector may close a stream, and so end a call, in the middle of anything."""


def offer_call(step: OpenStep, response_id: str | None = None) -> None:
    """Say that a model SDK's call was recorded as `step`; `response_id` is the id that the provider gave its answer."""
    with _lock:
        _offered[step.id] = (step, response_id)
        if len(_offered) > MAX_OFFERED:
            _offered.popitem(last=False)


def claim_call(workflow_id: str, *, response_id: str | None = None, parent: OpenStep | None = None) -> OpenStep | None:
    """The step that a model SDK recorded for a call that a framework tells of now; None when nobody recorded it.

    It is the oldest one of this workflow that nobody claimed yet and whose answer has this id; where either does not know
    the id, one directly under `parent`. A step is claimed once: the claimer adds to it instead of recording its own.
    """
    with _lock:
        for step, known_id in list(_offered.values()):
            if step.workflow_id != workflow_id:
                continue
            same = known_id == response_id if known_id and response_id else parent is not None and step.parent is parent
            if same:
                del _offered[step.id]
                return step
    return None


def has_called(step: OpenStep) -> bool:
    """Whether a finished call that nobody claimed lies directly under this step."""
    with _lock:
        return any(offered.parent is step for offered, _ in _offered.values())
