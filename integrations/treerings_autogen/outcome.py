"""How something ended: errors apart from cancellation and from a guard's stop."""

from __future__ import annotations

from treerings import Status, StopWorkflow

__all__ = ["ToolFailure", "status_of"]


class ToolFailure(Exception):
    """What a tool says of its failure where AutoGen passes on no exception."""


def status_of(error: BaseException | None) -> Status:
    """The status that an exception stands for: `CancelledError` and a consumer that stops are not errors."""
    if error is None:
        return Status.OK
    if not isinstance(error, Exception) or isinstance(error, StopWorkflow):
        return Status.CANCELLED
    return Status.ERROR
