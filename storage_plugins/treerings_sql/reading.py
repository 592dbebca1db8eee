"""The questions of a store, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Numeric,
    Select,
    Table,
    and_,
    case,
    cast,
    distinct,
    exists,
    func,
    or_,
    select,
    text,
)
from treerings.queries import in_order
from treerings.records import Step, Totals, Workflow
from treerings.store import Filter

from .database import Database
from .rows import decimal, step_of, workflow_of
from .tables import LABEL, PAYLOAD, STEP, WORKFLOW

__all__ = ["changes", "matching_workflow_ids", "totals", "tree", "workflows"]

_Condition = ColumnElement[bool]
_OWN_FIELDS = ("name", "source", "status", "session_id", "user_id", "tenant_id")
_STEP_FIELDS = ("kind", "agent", "model", "provider")
_STEPS = select(STEP, PAYLOAD.c.input, PAYLOAD.c.output).outerjoin(PAYLOAD, PAYLOAD.c.step_id == STEP.c.id)


def tree(connection: Connection, id: str) -> Workflow | None:
    steps = [step_of(row) for row in connection.execute(_STEPS.where(STEP.c.workflow_id == _value(id)))]
    return Workflow.of(id, steps) if steps else None


def workflows(connection: Connection, database: Database, filter: Filter) -> list[Workflow]:
    query = select(WORKFLOW).where(*_shared(WORKFLOW, WORKFLOW.c.id, database, filter))
    for field in _STEP_FIELDS:
        if (asked := getattr(filter, field)) is not None:
            query = query.where(exists().where(STEP.c.workflow_id == WORKFLOW.c.id, STEP.c[field] == _value(asked)))
    return [workflow_of(row) for row in connection.execute(_page(query, filter))]


def totals(connection: Connection, database: Database, by: Sequence[str], filter: Filter) -> list[Totals]:
    keys = [_dimension(name, database).label(f"key_{number}") for number, name in enumerate(by)]
    names = [text(key.name) for key in keys]  # an expression with values is another one each time it is said
    query = select(*keys, *_SUMS).where(*_of_steps(database, filter)).group_by(*names)
    return in_order(_totals_of(tuple(row), by) for row in connection.execute(query))


def matching_workflow_ids(connection: Connection, database: Database, filter: Filter) -> list[str]:
    """The workflows with at least one step that matches, the newest first."""
    found = select(STEP.c.workflow_id).where(*_of_steps(database, filter))
    query = select(WORKFLOW.c.id).where(WORKFLOW.c.id.in_(found))
    return list(connection.execute(_page(query, filter)).scalars())


def changes(connection: Connection, database: Database, cursor: int | None, limit: int) -> tuple[int, list[Step]]:
    settled = database.settled_revision()
    if cursor is None:
        return connection.execute(select(settled)).scalar_one(), []
    query = _STEPS.where(STEP.c.revision > cursor, STEP.c.revision <= settled).order_by(STEP.c.revision).limit(limit)
    rows = connection.execute(query).all()
    return (rows[-1].revision if rows else cursor), [step_of(row) for row in rows]


# -- conditions ------------------------------------------------------------------------------------------------------


def _of_steps(database: Database, filter: Filter) -> list[_Condition]:
    own = [STEP.c[field] == _value(asked) for field in _STEP_FIELDS if (asked := getattr(filter, field)) is not None]
    return _shared(STEP, STEP.c.workflow_id, database, filter) + own


def _shared(table: Table, id: ColumnElement[str], database: Database, filter: Filter) -> list[_Condition]:
    """What is asked of fields that steps and workflows both have."""
    found: list[_Condition] = []
    if filter.since is not None:
        found.append(table.c.started_at >= _utc(filter.since))
    if filter.until is not None:
        found.append(table.c.started_at < _utc(filter.until))
    if filter.workflow_id:
        beginning = _value(filter.workflow_id)
        found.append(and_(id >= beginning, id < beginning + "\U0010ffff"))
    for field in _OWN_FIELDS:
        if (asked := getattr(filter, field)) is not None:
            found.append(table.c[field] == _value(asked))
    for key, value in filter.labels.items():
        labelled = select(LABEL.c.workflow_id).where(LABEL.c.key == _value(key), LABEL.c.value == _value(value))
        found.append(id.in_(labelled))
        found.append(database.has_label(table.c.labels, _value(key), _value(value)))
    return found


def _page(query: Select[Any], filter: Filter) -> Select[Any]:
    newest = query.order_by(WORKFLOW.c.started_at.desc(), WORKFLOW.c.id.desc())
    return newest.limit(filter.limit).offset(filter.offset or None)


def _value(text: str) -> str:
    """Text as it was stored: without lone surrogates, and an enum's as its plain value."""
    return str(text).encode("utf-8", "replace").decode()


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


# -- sums ------------------------------------------------------------------------------------------------------------


def _dimension(name: str, database: Database) -> ColumnElement[Any]:
    if name.startswith("label:"):
        return database.json_member(STEP.c.labels, _value(name.removeprefix("label:")))
    if name == "day":
        return database.day(STEP.c.started_at)
    if name == "hour":
        return database.hour(STEP.c.started_at)
    return STEP.c[name]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _sum(column: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((and_(*conditions), column)) if conditions else column), 0)


_COUNTED = STEP.c.counted.is_(True)
# SQLite keeps the rounding errors of a sum of floats small itself; PostgreSQL adds their 15 digits as decimals.
_MONEY = cast(STEP.c.cost_usd, Float().with_variant(Numeric(), "postgresql"))
_SUMS = (
    func.count(distinct(STEP.c.workflow_id)).label("workflows"),
    func.count().label("steps"),
    _count(and_(STEP.c.kind == "llm", _COUNTED)).label("llm_calls"),
    _count(STEP.c.kind == "tool").label("tool_calls"),
    _count(STEP.c.status == "error").label("failed_steps"),
    _sum(STEP.c.input_tokens, _COUNTED).label("input_tokens"),
    _sum(STEP.c.output_tokens, _COUNTED).label("output_tokens"),
    _sum(STEP.c.cache_read_tokens, _COUNTED).label("cache_read_tokens"),
    _sum(STEP.c.cache_write_tokens, _COUNTED).label("cache_write_tokens"),
    _sum(STEP.c.reasoning_tokens, _COUNTED).label("reasoning_tokens"),
    _sum(_MONEY, _COUNTED).label("cost_usd"),
    _count(
        and_(
            STEP.c.kind.in_(("llm", "embedding")),
            _COUNTED,
            STEP.c.cost_usd.is_(None),
            STEP.c.status != "running",
            or_(STEP.c.usage.is_not(None), STEP.c.status != "error"),
        )
    ).label("unpriced_calls"),
    _count(and_(_COUNTED, STEP.c.usage.is_not(None), STEP.c.estimated.is_(True))).label("estimated_calls"),
    _sum(STEP.c.duration_ms).label("duration_ms"),
)
"""The columns of `Totals`, by the rules of `Totals.add`."""


def _totals_of(row: Sequence[Any], by: Sequence[str]) -> Totals:
    sums = dict(zip((column.name for column in _SUMS), row[len(by) :], strict=True))
    cost = decimal(sums.pop("cost_usd"))
    sums = {name: value if type(value) is float else int(value) for name, value in sums.items()}
    return Totals(key=dict(zip(by, row, strict=False)), cost_usd=cost, **sums)
