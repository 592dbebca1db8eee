"""The fold: the state of one step out of the events that were said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .events import Kind, Status, StepEnded, StepStarted, StepUpdated
from .records import Step

__all__ = ["fold", "kind_of", "merged", "name_of"]


def kind_of(start: StepStarted, updates: Sequence[StepUpdated] | None, end: StepEnded | None) -> Kind:
    """What the step is: the end says it last, then the latest update that does."""
    if end is not None and end.kind is not None:
        return end.kind
    if updates is not None:
        for update in reversed(updates):
            if update.kind is not None:
                return update.kind
    return start.kind


def name_of(start: StepStarted, updates: Sequence[StepUpdated] | None, end: StepEnded | None) -> str:
    """The step's name, by the same rule as its kind."""
    if end is not None and end.name is not None:
        return end.name
    if updates is not None:
        for update in reversed(updates):
            if update.name is not None:
                return update.name
    return start.name


def fold(
    start: StepStarted,
    updates: Sequence[StepUpdated] | None,
    end: StepEnded | None,
    closed: tuple[Status, int] | None,
    agent: str | None,
    labels: Mapping[str, str],
) -> Step:
    """The step that these events make; `updates` in the order of their sequence.

    `closed` is the status and UTC time that a rule gave to a step without an end; `agent` and `labels` are what the step
    has with everything inherited.
    """
    started_ns = start.time_ns // 1000 * 1000
    step = Step(
        start.step_id,
        start.workflow_id,
        start.parent_id,
        start.sequence,
        start.kind,
        start.name,
        start.source,
        Status.RUNNING,
        started_ns,
        agent,
        start.model,
        start.provider,
    )
    step.input = start.input
    if start.attributes:
        step.attributes = dict(start.attributes)
    if labels:
        rest = dict(labels)
        step.session_id = rest.pop("session_id", None)
        step.user_id = rest.pop("user_id", None)
        step.tenant_id = rest.pop("tenant_id", None)
        step.labels = rest
    if updates is not None:
        _apply_updates(step, start, updates)
    if end is not None:
        step.status = end.status
        duration_ns = max(0, end.clock_ns - start.clock_ns)
        step.duration_ms = duration_ns / 1e6
        step.ended_ns = started_ns + duration_ns // 1000 * 1000
        step.output = end.output
        step.error_type = end.error_type
        step.error = end.error
        if end.kind is not None:
            step.kind = end.kind
        if end.name is not None:
            step.name = end.name
        if end.usage is not None:
            step.usage = end.usage
        if end.model is not None:
            step.model = end.model
        if end.provider is not None:
            step.provider = end.provider
        if end.input is not None:
            step.input = end.input
        if end.attributes:
            step.attributes.update(end.attributes)
    elif closed is not None:
        step.status, closed_ns = closed
        step.ended_ns = max(started_ns, closed_ns // 1000 * 1000)
        step.duration_ms = (step.ended_ns - started_ns) / 1e6
    return step


def _apply_updates(step: Step, start: StepStarted, updates: Sequence[StepUpdated]) -> None:
    for update in updates:
        if update.kind is not None:
            step.kind = update.kind
        if update.name is not None:
            step.name = update.name
        if update.model is not None:
            step.model = update.model
        if update.provider is not None:
            step.provider = update.provider
        if update.input is not None:
            step.input = update.input
        if update.usage is not None:
            step.usage = update.usage
        if update.attributes:
            step.attributes.update(update.attributes)
        if update.first_token_ns is not None and step.first_token_ms is None:
            step.first_token_ms = max(0, update.first_token_ns - start.clock_ns) / 1e6


def merged(updates: Sequence[StepUpdated]) -> StepUpdated:
    """One update that says what these say one after the other; `updates` in the order of their sequence."""
    first, last = updates[0], updates[-1]
    one = StepUpdated(last.step_id, last.workflow_id, last.time_ns, last.clock_ns, last.sequence)
    one.first_token_ns = next((u.first_token_ns for u in updates if u.first_token_ns is not None), None)
    one.labels, one.attributes = dict(first.labels or {}), dict(first.attributes or {})
    for update in updates:
        for name in ("kind", "name", "model", "provider", "input", "usage"):
            if (value := getattr(update, name)) is not None:
                setattr(one, name, value)
        one.labels.update(update.labels or {})
        one.attributes.update(update.attributes or {})
    return one
