"""The step that encloses the running code, and the labels that its steps carry."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from .events import Kind

__all__ = [
    "OpenStep",
    "add_ambient",
    "carry",
    "current_labels",
    "current_step",
    "enter",
    "innermost",
    "labels",
    "leave",
    "step_around",
]

P = ParamSpec("P")
T = TypeVar("T")


class OpenStep:
    """A step while it runs: what its children need to know of it. Not thread-safe; written by the thread that ends it."""

    __slots__ = ("ended", "id", "kind", "name", "parent", "sampled", "source", "start_clock_ns", "workflow_id")

    def __init__(
        self,
        id: str,
        workflow_id: str,
        parent: OpenStep | None,
        kind: Kind,
        name: str,
        source: str,
        start_clock_ns: int,
        sampled: bool,
    ) -> None:
        self.id = id
        self.workflow_id = workflow_id
        self.parent = parent
        self.kind = kind
        self.name = name
        self.source = source
        self.start_clock_ns = start_clock_ns
        self.sampled = sampled
        self.ended = False

    def nearest_open(self) -> OpenStep | None:
        """This step, or the nearest of its ancestors that has not ended."""
        step: OpenStep | None = self
        while step is not None and step.ended:
            step = step.parent
        return step

    def __repr__(self) -> str:
        return f"<OpenStep {self.kind} {self.name!r} {self.id}{' ended' if self.ended else ''}>"


_current: contextvars.ContextVar[OpenStep | None] = contextvars.ContextVar("treerings_step", default=None)
_labels: contextvars.ContextVar[Mapping[str, str] | None] = contextvars.ContextVar("treerings_labels", default=None)
_ambient: list[Callable[[], OpenStep | None]] = []
_on_stack: list[Callable[[], OpenStep | None]] = []


def innermost(first: OpenStep | None, second: OpenStep | None) -> OpenStep | None:
    """The inner of two open steps if one encloses the other, else the first."""
    if second is None or second is first:
        return first
    if first is None:
        return second
    if first.workflow_id == second.workflow_id:
        step = second.parent
        while step is not None:
            if step is first:
                return second
            step = step.parent
    return first


def current_step() -> OpenStep | None:
    """The innermost open step around the running code, whichever framework opened it; None outside of all.

    Of steps that do not enclose each other, what the call stack says goes first, then what started last: a runtime, a loop
    or a thread that was started inside a step has that step in its context for as long as it lives, whatever it runs.
    """
    step = _current.get()
    if step is not None and step.ended:
        step = step.nearest_open()
    for ambient in _ambient:
        found = ambient()
        if found is not None and found is not step:
            step = found if step is None else _later(step, found)
    for ambient in _on_stack:
        found = ambient()
        if found is not None and found is not step:
            step = innermost(found, step)
    return step


def step_around(lookup: Callable[[], OpenStep | None]) -> OpenStep | None:
    """As `current_step`, without asking `lookup`: for the framework that registered it and knows better."""
    step = _current.get()
    if step is not None and step.ended:
        step = step.nearest_open()
    for ambient in _ambient:
        if ambient is not lookup and (found := ambient()) is not None and found is not step:
            step = found if step is None else _later(step, found)
    for ambient in _on_stack:
        if ambient is not lookup and (found := ambient()) is not None:
            step = innermost(found, step)
    return step


def _later(first: OpenStep, second: OpenStep) -> OpenStep:
    """The inner of two open steps if one encloses the other, else the one that started last, else the first."""
    if innermost(first, second) is second:
        return second
    if second.start_clock_ns <= first.start_clock_ns or innermost(second, first) is first:
        return first
    return second


def add_ambient(lookup: Callable[[], OpenStep | None], *, on_stack: bool = False) -> None:
    """Register a framework's own notion of the enclosing open step; it must be quick and must not raise.

    `on_stack` says that it looks at the call stack: the running code is inside of what it finds, even where the code that
    reads a stream opened a step of its own in between.
    """
    lookups = _on_stack if on_stack else _ambient
    if lookup not in lookups:
        lookups.append(lookup)


def enter(step: OpenStep) -> contextvars.Token[OpenStep | None]:
    """Make `step` the current one of this context; give the token to `leave`."""
    return _current.set(step)


def leave(token: contextvars.Token[OpenStep | None]) -> None:
    """Undo `enter`; in another context than the one of `enter` it does nothing."""
    try:
        _current.reset(token)
    except ValueError:  # a generator or task that is closed from elsewhere: its own context goes away with it
        return


def own_step() -> OpenStep | None:
    """The current step of our own context variable, ended or not, without asking the frameworks."""
    return _current.get()


def current_labels() -> Mapping[str, str] | None:
    """The labels in force here; None when there are none."""
    return _labels.get()


@contextmanager
def labels(
    *, session_id: str | None = None, user_id: str | None = None, tenant_id: str | None = None, **more: object
) -> Iterator[None]:
    """Give every step inside these dimensions; inner ones win over outer ones.

    `session_id`, `user_id` and `tenant_id` have columns of their own, the rest are labels. Values become strings;
    None leaves a dimension as it is; a value is cut after 1,000 characters.
    """
    given: dict[str, object] = {"session_id": session_id, "user_id": user_id, "tenant_id": tenant_id, **more}
    merged = dict(_labels.get() or {})
    merged.update({key: _text(value) for key, value in given.items() if value is not None})
    token = _labels.set(merged)
    try:
        yield
    finally:
        try:
            _labels.reset(token)
        except ValueError:  # closed from another context, see leave()
            pass


def _text(value: object) -> str:
    try:
        return str(value)[:1_000]
    except Exception:  # somebody's __str__
        return f"<{type(value).__qualname__}>"


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """A function that runs in a copy of this context, wherever it is called: for bare threads and executors.

    `threading.Thread(target=carry(work))`, `executor.submit(carry(work), item)`: the steps inside join this tree, and
    the frameworks' own context variables come along.
    """
    context = contextvars.copy_context()

    def run(*args: Any, **kwargs: Any) -> T:
        return context.copy().run(function, *args, **kwargs)

    return run
