"""The tables and the view that other programs may read, and the internal columns and table beside them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

__all__ = ["LABEL", "METADATA", "PAYLOAD", "PERFORMANCE_LOGS", "STEP", "WORKFLOW", "WRITER"]


class _Base(SQLModel, registry=registry()):
    """A registry of our own: the user's SQLModel tables and ours never meet."""


def _text() -> Any:
    return Field(default=None, sa_type=Text)


def _big() -> Any:
    return Field(default=None, sa_type=BigInteger)


def _time() -> Any:
    # Said by name: what SQLModel makes of a bare datetime depends on its version.
    return Field(default=None, sa_type=DateTime)


_ID = Text().with_variant(Text(collation="C"), "postgresql")
"""Ids are compared by their bytes."""


def _key() -> Any:
    return Field(primary_key=True, sa_type=_ID)


def _labels() -> Any:
    return Field(default=None, sa_type=Text().with_variant(JSONB(), "postgresql"))


class StepRow(_Base, table=True):
    """One step, without its payload. Times are UTC; JSON columns hold text; NULL is unknown."""

    __tablename__ = "step"
    __table_args__ = (
        Index("ix_step_workflow", "workflow_id"),
        Index("ix_step_started", "started_at"),
        Index("ix_step_revision", "revision"),
        Index("ix_step_labels", "labels", postgresql_using="gin", postgresql_ops={"labels": "jsonb_path_ops"}).ddl_if(
            dialect="postgresql"
        ),
        Index(
            "ix_step_running",
            "writer_id",
            sqlite_where=text("writer_id IS NOT NULL"),
            postgresql_where=text("writer_id IS NOT NULL"),
        ),
    )

    id: str = _key()
    workflow_id: str = Field(sa_type=_ID)
    parent_id: str | None = _text()
    sequence: int = Field(sa_type=BigInteger)
    kind: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    agent: str | None = _text()
    model: str | None = _text()
    provider: str | None = _text()
    status: str = Field(sa_type=Text)
    error_type: str | None = _text()
    error: str | None = _text()
    started_at: datetime = Field(sa_type=DateTime)
    ended_at: datetime | None = _time()
    duration_ms: float | None = None
    first_token_ms: float | None = None
    input_tokens: int | None = _big()
    output_tokens: int | None = _big()
    cache_read_tokens: int | None = _big()
    cache_write_tokens: int | None = _big()
    reasoning_tokens: int | None = _big()
    usage: str | None = _text()
    """JSON: the full vector of billed units."""
    cost_usd: float | None = None
    price: str | None = _text()
    """JSON: where the cost comes from."""
    counted: bool
    estimated: bool
    session_id: str | None = _text()
    user_id: str | None = _text()
    tenant_id: str | None = _text()
    labels: str | None = _labels()
    """JSON object."""
    attributes: str | None = _text()
    """JSON object."""
    writer_id: str | None = _text()
    """Internal: who keeps this step running; NULL once it has ended."""
    revision: int = Field(sa_type=BigInteger)
    """Internal: grows with every row that is written."""


class WorkflowRow(_Base, table=True):
    """One tree: its root's facts and its totals, kept up to date by every write."""

    __tablename__ = "workflow"
    __table_args__ = (
        Index("ix_workflow_started", "started_at", "id"),
        Index("ix_workflow_session", "session_id"),
        Index("ix_workflow_user", "user_id"),
    )

    id: str = _key()
    name: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    error: str | None = _text()
    started_at: datetime = Field(sa_type=DateTime)
    ended_at: datetime | None = _time()
    duration_ms: float | None = None
    steps: int = Field(sa_type=BigInteger)
    llm_calls: int = Field(sa_type=BigInteger)
    tool_calls: int = Field(sa_type=BigInteger)
    failed_steps: int = Field(sa_type=BigInteger)
    input_tokens: int = Field(sa_type=BigInteger)
    output_tokens: int = Field(sa_type=BigInteger)
    cost_usd: float
    unpriced_calls: int = Field(sa_type=BigInteger)
    session_id: str | None = _text()
    user_id: str | None = _text()
    tenant_id: str | None = _text()
    labels: str | None = _labels()
    cache_read_tokens: int = Field(sa_type=BigInteger)
    """Internal, as all that follow."""
    cache_write_tokens: int = Field(sa_type=BigInteger)
    reasoning_tokens: int = Field(sa_type=BigInteger)
    estimated_calls: int = Field(sa_type=BigInteger)
    steps_duration_ms: float
    facts_id: str = Field(sa_type=Text)
    """The step that name, status and the like come from: the root or, before it is known, the earliest step."""
    facts_rank: int
    """0 where that step is a root, 1 where it is not."""
    facts_sequence: int = Field(sa_type=BigInteger)


class PayloadRow(_Base, table=True):
    """What went into a step and came out, as JSON text; apart from `step`, so that scans stay narrow."""

    __tablename__ = "payload"

    step_id: str = _key()
    input: str | None = _text()
    output: str | None = _text()


class LabelRow(_Base, table=True):
    """Each label that occurs in a workflow."""

    __tablename__ = "label"
    __table_args__ = (Index("ix_label_workflow", "workflow_id"), {"sqlite_with_rowid": False})

    key: str = _key()
    value: str = _key()
    workflow_id: str = _key()


class WriterRow(_Base, table=True):
    """Internal: a process that writes here, so that the steps of a dead one are not taken for running."""

    __tablename__ = "writer"

    id: str = _key()
    host: str = Field(sa_type=Text)
    pid: int = Field(sa_type=BigInteger)
    started: str | None = _text()
    """What tells this process from another one with the same pid."""
    heartbeat_at: datetime | None = _time()
    """NULL once the writer has closed the store."""
    revision: int = Field(sa_type=BigInteger)
    """The last revision that this writer gave away; the highest of all writers is the store's."""


METADATA = _Base.metadata


def _table(row: type[SQLModel]) -> Table:
    table = METADATA.tables[str(row.__tablename__)]
    assert isinstance(table, Table)
    return table


STEP = _table(StepRow)
WORKFLOW = _table(WorkflowRow)
PAYLOAD = _table(PayloadRow)
LABEL = _table(LabelRow)
WRITER = _table(WriterRow)

PERFORMANCE_LOGS = """\
CREATE VIEW performance_logs AS
SELECT
    step.id AS id,
    step.started_at AS timestamp,
    step.workflow_id AS request_id,
    step.session_id AS session_id,
    step.user_id AS user_phone,
    step.agent AS agent,
    step.name AS function_name,
    step.kind AS call_type,
    step.sequence AS call_sequence,
    step.model AS model,
    step.input_tokens AS request_tokens,
    step.output_tokens AS response_tokens,
    CASE WHEN step.input_tokens IS NOT NULL OR step.output_tokens IS NOT NULL
        THEN coalesce(step.input_tokens, 0) + coalesce(step.output_tokens, 0) END AS total_tokens,
    step.started_at AS start_time,
    step.ended_at AS end_time,
    step.duration_ms AS duration_ms,
    CASE WHEN step.kind <> 'tool' THEN payload.input END AS messages,
    payload.output AS response_content,
    CASE WHEN step.kind = 'tool' THEN payload.input END AS function_call,
    CASE WHEN step.status <> 'running' THEN step.status IN ('ok', 'interrupted') END AS success,
    step.error AS error,
    step.attributes AS metadata,
    step.started_at AS created_at,
    coalesce(step.ended_at, step.started_at) AS updated_at
FROM step LEFT JOIN payload ON payload.step_id = step.id"""
"""The steps under the column names of existing dashboards."""
