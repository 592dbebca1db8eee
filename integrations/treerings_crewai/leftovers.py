"""What nobody tells: runs that end without a word, and steps of which only what is inside is known."""

from __future__ import annotations

from treerings import Recorder, Status

from .places import SOURCE
from .scopes import Execution, Scope, Scopes

__all__ = ["abandon", "settle", "show", "tend"]


def tend(scopes: Scopes, recorder: Recorder) -> None:
    """Close the executions that nobody is left to tell of: cancelled, or interrupted from the keyboard."""
    for execution in scopes.executions():
        if execution.lost:
            abandon(scopes, recorder, execution)


def settle(scopes: Scopes, recorder: Recorder, before_ns: int) -> None:
    """Everything emitted before then was told: what is still expected since then never will be."""
    with scopes.lock:
        untold = [scope for scope in scopes.expected.values() if scope.at_ns < before_ns]
        for scope in untold:
            del scopes.expected[scope.event_id]
            scope.told = True
            scopes.close(scope)
            scopes.bury(scope.event_id)
    for scope in untold:
        show(scope.execution.writer(recorder), scope)
    tend(scopes, recorder)


def show(recorder: Recorder, scope: Scope) -> None:
    """Say a step of which only its children are known."""
    step = scope.step
    recorder.start(
        step.kind,
        step.name,
        source=SOURCE,
        parent=step.parent,
        attributes={"hidden": True},
        expected=step,
        time_ns=scope.at_ns,
    )
    recorder.end(step)


def abandon(scopes: Scopes, recorder: Recorder, execution: Execution) -> None:
    """End what is open in an execution that is over, at the time of the last that was told of it."""
    recorder = execution.writer(recorder)
    with scopes.lock:
        left = list(execution.opened())
        for scope in left:
            scopes.close(scope, execution.last_ns)
        root = execution.root
        if root is not None and not root.ended:
            scopes.close(root, execution.last_ns)
            if not root.told:
                left.append(root)
    for scope in left:
        if not scope.told:
            scope.told = True
            show(recorder, scope)
        elif not scope.collapsed:
            recorder.end(scope.step, status=Status.CANCELLED, time_ns=max(execution.last_ns, scope.at_ns))
