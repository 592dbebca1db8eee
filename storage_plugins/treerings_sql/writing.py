"""The write path: a batch of steps in a handful of statements of many rows, and the workflows' rows with them.

No ORM and no statement a row: every statement gives Python's lock away, and beside a busy thread getting it back costs
milliseconds. See docs/decisions/0004-sqlite-writes.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Table, delete, select
from treerings.records import Step, Totals

from .deltas import COUNTED_COLUMNS, apply_totals, changes_of, deltas_of, facts_of, new_workflow_row, rank_of
from .liveness import Identity, now
from .rows import WORKFLOW_COLUMNS, payload_row, step_of, step_row
from .sqlite import SQLiteDatabase
from .tables import LABEL, PAYLOAD, STEP, WORKFLOW, WRITER

__all__ = ["write"]

_MOST_ROWS = 1024


def write(connection: Connection, database: SQLiteDatabase, writer: Identity, steps: Iterable[Step]) -> None:
    """Insert or replace these steps, inside a transaction that has the write lock."""
    batch = _last_states(steps)
    stored = _read(connection, database, [step.id for step in batch], {step.workflow_id for step in batch})
    deltas = deltas_of(changes_of(stored.steps, batch))
    revision, time = stored.revision, database.time
    rows = [step_row(step, time, writer.id, number) for number, step in enumerate(batch, revision + 1)]
    _upsert(connection, database, STEP, rows)
    payloads = [payload_row(step) for step in batch if step.input is not None or step.output is not None]
    _upsert(connection, database, PAYLOAD, payloads)
    _write_workflows(connection, database, batch, deltas, stored.workflows)
    labels = {(key, value, step.workflow_id) for step in batch for key, value in step.labels.items()}
    _upsert(connection, database, LABEL, list(labels))
    alive = (writer.id, writer.host, writer.pid, writer.started, time(now()), revision + len(batch))
    _upsert(connection, database, WRITER, [alive])


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
    database: SQLiteDatabase,
    batch: Sequence[Step],
    deltas: dict[str, Totals],
    rows: dict[str, dict[str, Any]],
) -> None:
    if left := deltas.keys() - rows.keys() - {step.workflow_id for step in batch}:
        rows |= _read(connection, database, (), left).workflows
    time = database.time
    best: dict[str, Step] = {}
    for step in batch:
        other = best.get(step.workflow_id)
        if other is None or rank_of(step) < rank_of(other):
            best[step.workflow_id] = step
    in_batch = {step.id: step for step in batch} if rows else {}
    values = []
    emptied = []
    for id, delta in deltas.items():
        row = rows.get(id)
        if row is None:
            if (first := best.get(id)) is not None:
                values.append(new_workflow_row(id, first, delta, time))
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
        values.append(tuple(row[name] for name in WORKFLOW_COLUMNS))
    _upsert(connection, database, WORKFLOW, values)
    for table, column in ((WORKFLOW, WORKFLOW.c.id), (LABEL, LABEL.c.workflow_id)):
        if emptied:
            connection.execute(delete(table).where(column.in_(emptied)))


_LOOK = object.__new__(Step)
"""Says that only the table knows which step tells a workflow's facts."""


def _teller(row: dict[str, Any], best: Step | None, holder: Step | None, database: SQLiteDatabase) -> Step | None:
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


# -- statements ------------------------------------------------------------------------------------------------------


class _Stored(NamedTuple):
    steps: list[list[Any]]
    workflows: dict[str, dict[str, Any]]
    revision: int


def _read(
    connection: Connection, database: SQLiteDatabase, step_ids: Collection[str], workflow_ids: Collection[str]
) -> _Stored:
    """What is stored of these steps and workflows, in one statement for each thousand."""
    steps: list[list[Any]] = []
    workflows: dict[str, dict[str, Any]] = {}
    revision = 0
    most = _most_rows(database, 2)
    for some, others in zip_longest(_chunks(list(step_ids), most), _chunks(list(workflow_ids), most), fillvalue=()):
        statement = _select_text(database.placeholder, database.json_rows, _size(len(some)), _size(len(others)))
        values = (*_padded(some, None), *_padded(others, None))
        found = connection.exec_driver_sql(statement, values).one()
        steps += orjson.loads(found[0])
        workflows |= {row[0]: dict(zip(WORKFLOW_COLUMNS, row, strict=True)) for row in orjson.loads(found[1])}
        revision = found[2] or 0
    return _Stored(steps, workflows, revision)


def _upsert(connection: Connection, database: SQLiteDatabase, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    for chunk in _chunks(rows, _most_rows(database, len(table.columns))):
        values: list[Any] = []
        for row in _padded(chunk, chunk[-1]):
            values += row
        connection.exec_driver_sql(_insert_text(database.placeholder, table, _size(len(chunk))), tuple(values))


def _chunks(values: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]


def _most_rows(database: SQLiteDatabase, columns: int) -> int:
    """The largest size of a statement whose values the engine takes."""
    most = min(_MOST_ROWS, database.max_variables // columns)
    step = _step(most)
    return most // step * step


def _step(count: int) -> int:
    """How far the sizes of statements are apart at this count."""
    return 1 << max(count.bit_length() - 3, 0)


def _size(count: int) -> int:
    """The next of 1-8, 10, 12, 14, 16, 20 ... 1024: few enough texts that each is compiled once and kept."""
    step = _step(count)
    return -(-count // step) * step


def _padded(values: Sequence[Any], filling: Any) -> list[Any]:
    """Up to the size of the statement. Writing a row again changes nothing and costs less than another statement."""
    return [*values, *[filling] * (_size(len(values)) - len(values))]


@lru_cache(256)
def _insert_text(placeholder: str, table: Table, rows: int) -> str:
    names = table.columns.keys()
    keys = [column.name for column in table.primary_key]
    others = [name for name in names if name not in keys]
    row = f"({', '.join([placeholder] * len(names))})"
    if table is PAYLOAD:
        updates = ", ".join(f"{name} = coalesce(excluded.{name}, payload.{name})" for name in others)
    else:
        updates = ", ".join(f"{name} = excluded.{name}" for name in others)
    if table is STEP:
        updates += " WHERE excluded.revision <> step.revision"
    quoted = ", ".join(f'"{name}"' for name in names)
    target = ", ".join(f'"{name}"' for name in keys)
    return (
        f"INSERT INTO {table.name} ({quoted}) VALUES {', '.join([row] * rows)} "
        f"ON CONFLICT ({target}) DO {f'UPDATE SET {updates}' if others else 'NOTHING'}"
    )


@lru_cache(256)
def _select_text(placeholder: str, json_rows: Callable[[Sequence[str]], str], steps: int, workflows: int) -> str:
    def ids(count: int) -> str:
        return ", ".join([placeholder] * count)

    return (
        f"SELECT (SELECT {json_rows(COUNTED_COLUMNS)} FROM step WHERE id IN ({ids(steps)})), "
        f"(SELECT {json_rows(WORKFLOW_COLUMNS)} FROM workflow WHERE id IN ({ids(workflows)})), "
        "(SELECT max(revision) FROM writer)"
    )
