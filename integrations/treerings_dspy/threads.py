"""Threads of dspy's executor: they carry its settings along, and here the enclosing step too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from dspy.utils.parallelizer import ParallelExecutor  # type: ignore[import-untyped]  # dspy is not typed
from treerings.context import current_labels, current_step, enter, labels, leave

__all__ = ["unwrap", "wrap"]

_execute: Callable[..., Any] | None = None


def wrap() -> None:
    """Give what `Parallel`, `Evaluate`, `batch` and the optimizers run in threads its parent; once."""
    global _execute
    if _execute is not None:
        return
    execute = _execute = ParallelExecutor.execute

    @functools.wraps(execute)
    def carrying(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return execute(self, _carried(function), *args, **kwargs)

    ParallelExecutor.execute = carrying


def unwrap() -> None:
    """Give the class its own method back."""
    global _execute
    if _execute is not None:
        ParallelExecutor.execute = _execute
        _execute = None


def _carried(function: Any) -> Any:
    """The function inside the step and the labels of here. Its thread's context stays: dspy's settings are in it."""
    step, given = current_step(), current_labels()
    if step is None and given is None:
        return function

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            if given is not None:
                stack.enter_context(labels(**given))
            if step is not None:
                stack.callback(leave, enter(step))
            return function(*args, **kwargs)

    return run
