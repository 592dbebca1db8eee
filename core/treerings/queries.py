"""The questions of a store answered in plain Python: the reference for all stores, the engine of small ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from .records import Step, Totals, Workflow
from .store import Filter, check_dimensions

__all__ = [
    "Tailing",
    "dimension",
    "in_order",
    "matches",
    "matches_workflow",
    "microseconds",
    "page",
    "totals_of",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_OWN_FIELDS = ("name", "source", "status", "session_id", "user_id", "tenant_id")
"""Fields of a filter that both steps and workflows have."""
_STEP_FIELDS = ("kind", "agent", "model", "provider")
"""Fields of a filter that only steps have."""


@runtime_checkable
class Tailing(Protocol):
    """What a store may offer besides `Store`: reading what was written since the last look."""

    def changes(self, cursor: int | None = None, *, limit: int = 1000) -> tuple[int, list[Step]]:
        """The cursor to ask with next, and at most `limit` steps written after `cursor`, in the order of writing.

        A step that was written several times appears once, in its last state, at its last place. The cursor 0 is before
        everything; None gives the present cursor and no steps. A cursor is good for as long as the store is open.
        """


def microseconds(moment: datetime) -> int:
    """Whole microseconds since the epoch; a time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def _within(started_ns: int, filter: Filter) -> bool:
    started = started_ns // 1000
    return (filter.since is None or started >= microseconds(filter.since)) and (
        filter.until is None or started < microseconds(filter.until)
    )


def _same(record: Step | Workflow, fields: Sequence[str], filter: Filter) -> bool:
    return all((asked := getattr(filter, field)) is None or getattr(record, field) == asked for field in fields)


def _labelled(record: Step | Workflow, filter: Filter) -> bool:
    return all(record.labels.get(key) == value for key, value in filter.labels.items())


def matches(step: Step, filter: Filter) -> bool:
    """Whether the step's own fields match; `limit` and `offset` play no part."""
    return (
        _within(step.started_ns, filter)
        and (filter.workflow_id is None or step.workflow_id.startswith(filter.workflow_id))
        and _same(step, _OWN_FIELDS, filter)
        and _same(step, _STEP_FIELDS, filter)
        and _labelled(step, filter)
    )


def matches_workflow(workflow: Workflow, filter: Filter) -> bool:
    """Whether a workflow matches by its root's facts and, for each field that only steps have, by one of its steps."""
    return (
        _within(workflow.started_ns, filter)
        and (filter.workflow_id is None or workflow.id.startswith(filter.workflow_id))
        and _same(workflow, _OWN_FIELDS, filter)
        and _labelled(workflow, filter)
        and all(
            getattr(filter, field) is None or any(_same(step, (field,), filter) for step in workflow.steps)
            for field in _STEP_FIELDS
        )
    )


def page(workflows: Iterable[Workflow], filter: Filter) -> list[Workflow]:
    """The newest first, cut by `offset` and `limit`."""
    newest = sorted(workflows, key=lambda workflow: (workflow.started_ns, workflow.id), reverse=True)
    return newest[filter.offset : None if filter.limit is None else filter.offset + filter.limit]


def dimension(step: Step, name: str) -> str | None:
    """The step's value in one of `DIMENSIONS` or `label:KEY`; None where it has none."""
    if name.startswith("label:"):
        return step.labels.get(name.removeprefix("label:"))
    if name == "day":
        return step.started_at.strftime("%Y-%m-%d")
    if name == "hour":
        return step.started_at.strftime("%Y-%m-%dT%H")
    value = getattr(step, name)
    return None if value is None else str(value)


def totals_of(steps: Iterable[Step], by: Sequence[str] = (), filter: Filter | None = None) -> list[Totals]:
    """What `Store.totals` answers over these steps. Raises `UnknownName` for an unknown dimension."""
    by = check_dimensions(by)
    groups: dict[tuple[str | None, ...], Totals] = {} if by else {(): Totals()}
    workflows: dict[tuple[str | None, ...], set[str]] = {}
    for step in steps:
        if filter is not None and not matches(step, filter):
            continue
        values = tuple(dimension(step, name) for name in by)
        if (totals := groups.get(values)) is None:
            totals = groups[values] = Totals(key=dict(zip(by, values, strict=True)))
        totals.add(step)
        workflows.setdefault(values, set()).add(step.workflow_id)
    for values, ids in workflows.items():
        groups[values].workflows = len(ids)
    return in_order(groups.values())


def in_order(totals: Iterable[Totals]) -> list[Totals]:
    """The most expensive first; equal ones by their key, unknown values last."""
    return sorted(
        totals, key=lambda entry: (-entry.cost_usd, [(value is None, value or "") for value in entry.key.values()])
    )
