"""How a run ended: errors apart from the frameworks' control flow, which travels as exceptions."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from treerings import Status, StopWorkflow

__all__ = ["is_interrupt", "status_of"]


def status_of(error: BaseException) -> tuple[Status, dict[str, Any] | None]:
    """The status that an exception stands for, and what to note about it. Decided by class, never by name or text."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt | StopWorkflow):
        return Status.CANCELLED, None
    errors = sys.modules.get("langgraph.errors")  # whoever raises one of these has imported it
    if errors is not None:
        if isinstance(error, errors.GraphInterrupt):
            return Status.INTERRUPTED, None
        parent_command = getattr(errors, "ParentCommand", None)
        if parent_command is not None and isinstance(error, parent_command):
            return Status.OK, {"handoff": True}
        drained = getattr(errors, "GraphDrained", None)
        if drained is not None and isinstance(error, drained):
            return Status.CANCELLED, {"drained": True}
        bubble_up = getattr(errors, "GraphBubbleUp", None)
        if bubble_up is not None and isinstance(error, bubble_up):
            return Status.OK, {"control": type(error).__name__}
    return Status.ERROR, None


def is_interrupt(status: Status) -> bool:
    return status is Status.INTERRUPTED
