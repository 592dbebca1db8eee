"""SQLite's statements of a batch: few texts of many rows, each compiled once a connection.

See docs/decisions/0004-sqlite-writes.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import orjson
from sqlalchemy import Connection, Table

from .database import Stored
from .deltas import COUNTED_COLUMNS
from .rows import WORKFLOW_COLUMNS
from .tables import PAYLOAD, STEP

__all__ = ["read", "upsert"]

_MOST_ROWS = 1024


def read(connection: Connection, variables: int, step_ids: Collection[str], workflow_ids: Collection[str]) -> Stored:
    """What is stored of these steps and workflows, in one statement for each thousand."""
    steps: list[list[Any]] = []
    workflows: dict[str, dict[str, Any]] = {}
    revision = 0
    most = _most_rows(variables, 2)
    for some, others in zip_longest(_chunks(list(step_ids), most), _chunks(list(workflow_ids), most), fillvalue=()):
        statement = _select_text(_size(len(some)), _size(len(others)))
        values = (*_padded(some, None), *_padded(others, None))
        found = connection.exec_driver_sql(statement, values).one()
        steps += orjson.loads(found[0])
        workflows |= {row[0]: dict(zip(WORKFLOW_COLUMNS, row, strict=True)) for row in orjson.loads(found[1])}
        revision = found[2] or 0
    return Stored(steps, workflows, revision)


def upsert(connection: Connection, variables: int, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert or replace; a payload that the row does not bring stays. `variables` is how many values a statement takes."""
    for chunk in _chunks(rows, _most_rows(variables, len(table.columns))):
        values: list[Any] = []
        for row in _padded(chunk, chunk[-1]):
            values += row
        connection.exec_driver_sql(_insert_text(table, _size(len(chunk))), tuple(values))


def _chunks(values: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]


def _most_rows(variables: int, columns: int) -> int:
    """The largest size of a statement whose values the engine takes."""
    most = min(_MOST_ROWS, variables // columns)
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
def _insert_text(table: Table, rows: int) -> str:
    names = table.columns.keys()
    keys = [column.name for column in table.primary_key]
    others = [name for name in names if name not in keys]
    row = f"({', '.join('?' * len(names))})"
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
def _select_text(steps: int, workflows: int) -> str:
    def ids(count: int) -> str:
        return ", ".join("?" * count)

    def json_rows(columns: Sequence[str]) -> str:
        """All rows as one JSON text. One row is one step of the engine: a row each would give the lock away each time."""
        return f"json_group_array(json_array({', '.join(columns)}))"

    return (
        f"SELECT (SELECT {json_rows(COUNTED_COLUMNS)} FROM step WHERE id IN ({ids(steps)})), "
        f"(SELECT {json_rows(WORKFLOW_COLUMNS)} FROM workflow WHERE id IN ({ids(workflows)})), "
        "(SELECT max(revision) FROM writer)"
    )
