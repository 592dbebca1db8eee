"""The write path: a batch of steps in a handful of statements of many rows, and the workflows' rows with them.

No ORM and no statement a row: every statement gives Python's lock away, and beside a busy thread getting it back costs
milliseconds. See docs/decisions/0004-sqlite-writes.md and 0014-postgresql.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, select
from treerings.records import Step, Totals

from .database import Database
from .deltas import apply_totals, changes_of, deltas_of, facts_of, new_workflow_row, rank_of
from .liveness import Identity, now
from .rows import WORKFLOW_COLUMNS, payload_row, step_of, step_row
from .tables import LABEL, PAYLOAD, STEP, WORKFLOW, WRITER

__all__ = ["write"]


def write(connection: Connection, database: Database, writer: Identity, steps: Iterable[Step]) -> None:
    """Insert or replace these steps, inside a transaction that has the write lock."""
    batch = _last_states(steps)
    stored = database.read(connection, [step.id for step in batch], {step.workflow_id for step in batch})
    deltas = deltas_of(changes_of(stored.steps, batch))
    revision, time = stored.revision, database.time
    rows = [step_row(step, time, writer.id, number) for number, step in enumerate(batch, revision + 1)]
    database.upsert(connection, STEP, rows)
    payloads = [payload_row(step) for step in batch if step.input is not None or step.output is not None]
    database.upsert(connection, PAYLOAD, payloads)
    _write_workflows(connection, database, batch, deltas, stored.workflows)
    labels = {(key, value, step.workflow_id) for step in batch for key, value in step.labels.items()}
    database.upsert(connection, LABEL, list(labels))
    alive = (writer.id, writer.host, writer.pid, writer.started, time(now()), revision + len(batch))
    database.upsert(connection, WRITER, [alive])


def _last_states(steps: Iterable[Step]) -> list[Step]:
    """Each step once, in its last state, with the payload that an earlier one brought."""
    latest: dict[str, Step] = {}
    for step in steps:
        earlier = latest.pop(step.id, None)
        if earlier is not None:
            step = replace(
                step,
                input=earlier.input if step.input is None else step.input,
                output=earlier.output if step.output is None else step.output,
            )
        latest[step.id] = step
    return list(latest.values())


# -- the workflows' rows ---------------------------------------------------------------------------------------------


def _write_workflows(
    connection: Connection,
    database: Database,
    batch: Sequence[Step],
    deltas: dict[str, Totals],
    rows: dict[str, dict[str, Any]],
) -> None:
    if left := deltas.keys() - rows.keys() - {step.workflow_id for step in batch}:
        rows |= database.read(connection, (), left).workflows
    time = database.time
    best: dict[str, Step] = {}
    for step in batch:
        other = best.get(step.workflow_id)
        if other is None or rank_of(step) < rank_of(other):
            best[step.workflow_id] = step
    in_batch = {step.id: step for step in batch} if rows else {}
    created: list[tuple[Any, ...]] = []
    changed: list[tuple[Any, ...]] = []
    emptied = []
    for id, delta in deltas.items():
        row = rows.get(id)
        if row is None:
            if (first := best.get(id)) is not None:
                created.append(new_workflow_row(id, first, delta, time))
            continue
        apply_totals(row, delta)
        if not row["steps"]:
            emptied.append(id)
            continue
        teller = _teller(row, best.get(id), in_batch.get(row["facts_id"]), database)
        if teller is _LOOK:
            teller = _first_step(connection, id)
        if teller is not None:
            row.update(facts_of(teller, time))
        changed.append(tuple(row[name] for name in WORKFLOW_COLUMNS))
    database.write_workflows(connection, created, changed)
    for table, column in ((WORKFLOW, WORKFLOW.c.id), (LABEL, LABEL.c.workflow_id)):
        if emptied:
            connection.execute(delete(table).where(column.in_(emptied)))


_LOOK = object.__new__(Step)
"""Says that only the table knows which step tells a workflow's facts."""


def _teller(row: dict[str, Any], best: Step | None, holder: Step | None, database: Database) -> Step | None:
    """The step of the batch that tells the workflow's facts from now on, None if they stay, or `_LOOK`."""

    def rank(step: Step) -> tuple[Any, ...]:
        return (int(step.parent_id is not None), database.time(step.started_ns), step.sequence, step.id)

    present = (row["facts_rank"], row["started_at"], row["facts_sequence"], row["facts_id"])
    if holder is not None and (holder.workflow_id != row["id"] or rank(holder) > present):
        return _LOOK
    return best if best is not None and rank(best) <= present else None


def _first_step(connection: Connection, workflow_id: str) -> Step:
    order = (STEP.c.parent_id.is_not(None), STEP.c.started_at, STEP.c.sequence, STEP.c.id)
    return step_of(
        connection.execute(select(STEP).where(STEP.c.workflow_id == workflow_id).order_by(*order).limit(1)).one()
    )
