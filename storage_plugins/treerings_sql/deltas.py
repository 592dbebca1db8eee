"""What a batch changes: the difference that it makes to every workflow's totals, and to the facts of its root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from treerings.events import Kind, Status
from treerings.plain import dump_json
from treerings.records import Step, Totals
from treerings.usage import Usage

from .rows import decimal

__all__ = [
    "COUNTED_COLUMNS",
    "Change",
    "apply_totals",
    "changes_of",
    "deltas_of",
    "facts_of",
    "new_workflow_row",
    "rank_of",
]

COUNTED_COLUMNS = (
    "id",
    "workflow_id",
    "kind",
    "status",
    "counted",
    "estimated",
    "duration_ms",
    "usage IS NOT NULL",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
)
"""What has to be known of a stored step to take its contribution back out of a sum."""

_COLUMN_OF_SUM = {"duration_ms": "steps_duration_ms"}
_SUMS = tuple(field.name for field in fields(Totals) if field.name not in ("key", "workflows"))


class Change(NamedTuple):
    """A step as it is stored, None where it is new, and as it will be."""

    before: Step | None
    after: Step


def changes_of(stored: Iterable[Sequence[Any]], steps: Iterable[Step]) -> Iterator[Change]:
    """Each step of the batch beside its stored state, given as values of `COUNTED_COLUMNS`."""
    known = {values[0]: values for values in stored}
    for step in steps:
        values = known.get(step.id) if known else None
        yield Change(None if values is None else _stored(*values), step)


def _stored(
    id: str,
    workflow_id: str,
    kind: str,
    status: str,
    counted: int,
    estimated: int,
    duration_ms: float | None,
    has_usage: int,
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read_tokens: int | None,
    cache_write_tokens: int | None,
    reasoning_tokens: int | None,
    cost_usd: float | None,
) -> Step:
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
        reasoning_tokens=reasoning_tokens,
    )
    return Step(
        id=id,
        workflow_id=workflow_id,
        parent_id=None,
        sequence=0,
        kind=Kind(kind),
        name="",
        source="",
        status=Status(status),
        started_ns=0,
        duration_ms=duration_ms,
        usage=usage if has_usage else None,
        cost_usd=None if cost_usd is None else decimal(cost_usd),
        counted=bool(counted),
        estimated=bool(estimated),
    )


def deltas_of(changes: Iterable[Change]) -> dict[str, Totals]:
    """By workflow: what these changes add to its totals, negative where they take away.

    Every sum that is kept up to date is fed from here, so that writing a batch twice adds nothing the second time.
    Raises `OverflowError` for an infinite cost or duration, which would spoil a sum for ever.
    """
    deltas: dict[str, Totals] = {}
    for before, step in changes:
        if (delta := deltas.get(step.workflow_id)) is None:
            delta = deltas[step.workflow_id] = Totals()
        delta.add(step)
        if before is not None:
            _take(before, deltas.setdefault(before.workflow_id, Totals()))
    if not all(isfinite(delta.cost_usd) and isfinite(delta.duration_ms) for delta in deltas.values()):
        raise OverflowError("a cost or a duration is not finite")
    return deltas


def _take(step: Step, totals: Totals) -> None:
    own = Totals()
    own.add(step)
    for name in _SUMS:
        setattr(totals, name, getattr(totals, name) - getattr(own, name))


def new_workflow_row(id: str, teller: Step, totals: Totals, time: Callable[[int], Any]) -> tuple[Any, ...]:
    """The row of a workflow that comes with one batch, in the order of `WORKFLOW_COLUMNS`: the usual case, made at once."""
    root = teller.parent_id is None
    return (
        id,
        teller.name,
        teller.source,
        str(teller.status if root else Status.RUNNING),
        teller.error if root else None,
        time(teller.started_ns),
        time(teller.ended_ns) if root and teller.ended_ns is not None else None,
        teller.duration_ms if root else None,
        totals.steps,
        totals.llm_calls,
        totals.tool_calls,
        totals.failed_steps,
        totals.input_tokens,
        totals.output_tokens,
        float(totals.cost_usd),
        totals.unpriced_calls,
        teller.session_id,
        teller.user_id,
        teller.tenant_id,
        dump_json(teller.labels).decode() if teller.labels else None,
        totals.cache_read_tokens,
        totals.cache_write_tokens,
        totals.reasoning_tokens,
        totals.estimated_calls,
        totals.duration_ms,
        teller.id,
        int(not root),
        teller.sequence,
    )


def apply_totals(row: dict[str, Any], delta: Totals) -> None:
    """Add a difference to a workflow's row; costs are added as decimals, so that taking away leaves nothing behind."""
    for name in _SUMS:
        difference = getattr(delta, name)
        if not difference:
            continue
        column = _COLUMN_OF_SUM.get(name, name)
        if name == "cost_usd":
            row[column] = float(Decimal(repr(row[column])) + difference)
        else:
            row[column] += difference


def rank_of(step: Step) -> tuple[bool, int, int, str]:
    """Which step of a workflow tells its facts: a root before the others, then the earliest; the smallest rank wins."""
    return (step.parent_id is not None, step.started_ns // 1000, step.sequence, step.id)


def facts_of(step: Step, time: Callable[[int], Any]) -> Mapping[str, Any]:
    """The columns of a workflow that come from the step that tells its facts."""
    root = step.parent_id is None
    return {
        "name": step.name,
        "source": step.source,
        "status": step.status.value if root else Status.RUNNING.value,
        "error": step.error if root else None,
        "started_at": time(step.started_ns),
        "ended_at": time(step.ended_ns) if root and step.ended_ns is not None else None,
        "duration_ms": step.duration_ms if root else None,
        "session_id": step.session_id,
        "user_id": step.user_id,
        "tenant_id": step.tenant_id,
        "labels": dump_json(step.labels).decode() if step.labels else None,
        "facts_id": step.id,
        "facts_rank": int(not root),
        "facts_sequence": step.sequence,
    }
