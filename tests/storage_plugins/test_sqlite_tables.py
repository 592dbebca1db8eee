"""What other programs may rely on in an SQLite file, and how it is read and written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from treerings.events import Kind, Status
from treerings.store import Filter
from treerings.testing.store_tests import START, make_step, make_workflow, step_id, workflow_id
from treerings_sql.store import SqlStore

_STEP = """id workflow_id parent_id sequence kind name source agent model provider status error_type error started_at
    ended_at duration_ms first_token_ms input_tokens output_tokens cache_read_tokens cache_write_tokens reasoning_tokens
    usage cost_usd price counted estimated session_id user_id tenant_id labels attributes"""
_WORKFLOW = """id name source status error started_at ended_at duration_ms steps llm_calls tool_calls failed_steps
    input_tokens output_tokens cost_usd unpriced_calls session_id user_id tenant_id labels"""
_PERFORMANCE_LOGS = """id timestamp request_id session_id user_phone agent function_name call_type call_sequence model
    request_tokens response_tokens total_tokens start_time end_time duration_ms messages response_content function_call
    success error metadata created_at updated_at"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{path}")
    yield store
    store.close()


def _query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    ("table", "public"),
    [
        ("step", _STEP),
        ("workflow", _WORKFLOW),
        ("payload", "step_id input output"),
        ("label", "key value workflow_id"),
        ("performance_logs", _PERFORMANCE_LOGS),
    ],
)
def test_public_columns_come_first_in_their_order(store: SqlStore, path: Path, table: str, public: str) -> None:
    columns = [row[1] for row in _query(path, f"PRAGMA table_info({table})")]
    assert columns[: len(public.split())] == public.split()


def test_times_are_text_that_sql_date_functions_read(store: SqlStore, path: Path) -> None:
    store.write([replace(make_step(), started_ns=1_767_306_600_000_042_000)])
    assert _query(path, "SELECT started_at, date(started_at), strftime('%H:%M', started_at) FROM step") == [
        ("2026-01-01 22:30:00.000042", "2026-01-01", "22:30")
    ]


def test_times_before_the_epoch_and_beyond_every_calendar_do_no_harm(store: SqlStore) -> None:
    store.write([replace(make_step(1), started_ns=-1_000), replace(make_step(2), started_ns=10**24)])
    (first, _) = store.workflow(workflow_id(1)).steps  # type: ignore[union-attr]  # it was just written
    assert first.started_ns == -1_000


@pytest.mark.parametrize("cost", ["NaN", "Infinity", "1E+400"])
def test_a_cost_that_is_no_number_is_unknown_and_spoils_no_sum(store: SqlStore, cost: str) -> None:
    store.write([make_step(1, cost="0.5"), make_step(2, cost=cost)])
    store.write([replace(make_step(3, cost="0.25"), duration_ms=float("inf"))])
    assert store.workflows()[0].totals.cost_usd == Decimal("0.75")
    assert store.totals()[0].unpriced_calls == 1


def test_json_columns_hold_json_text(store: SqlStore, path: Path) -> None:
    store.write([make_step(labels={"team": "ü"}, attributes={"a": [1]}, input={"q": "?"}, tokens=(1, 2))])
    sql = """SELECT json_extract(labels, '$.team'), json_extract(attributes, '$.a[0]'),
        json_extract(usage, '$.input_tokens'), json_extract(input, '$.q') FROM step JOIN payload ON step_id = id"""
    assert _query(path, sql) == [("ü", 1, 1, "?")]


def test_costs_are_numbers(store: SqlStore, path: Path) -> None:
    store.write(make_workflow(cost="0.25"))
    assert _query(path, "SELECT typeof(cost_usd), sum(cost_usd) FROM step WHERE cost_usd > 0") == [("real", 0.25)]
    assert _query(path, "SELECT cost_usd FROM workflow") == [(0.25,)]


def test_performance_logs_speak_the_language_of_existing_dashboards(store: SqlStore, path: Path) -> None:
    store.write([make_step(1, kind=Kind.TOOL, name="search", user_id="+49", input={"q": "?"}, tokens=(2, 3))])
    store.write([make_step(2, status=Status.RUNNING, input="hi")])
    sql = "SELECT user_phone, function_name, total_tokens, messages, function_call, success FROM performance_logs"
    assert _query(path, sql) == [("+49", "search", 5, None, '{"q":"?"}', 1), (None, "llm", None, '"hi"', None, None)]


def test_labels_can_be_joined(store: SqlStore, path: Path) -> None:
    store.write([*make_workflow(1, labels={"team": "growth"}), *make_workflow(2)])
    sql = "SELECT sum(cost_usd) FROM workflow JOIN label ON workflow_id = id WHERE key = 'team' AND value = 'growth'"
    assert _query(path, sql) == [(0.25,)]


def test_deletion_leaves_no_row_behind(store: SqlStore, path: Path) -> None:
    store.write(make_workflow(labels={"team": "growth"}))
    store.delete(Filter())
    assert [_query(path, f"SELECT count(*) FROM {table}") for table in ("step", "workflow", "payload", "label")] == [
        [(0,)]
    ] * 4


def test_the_file_is_laid_out_for_many_writers(store: SqlStore, path: Path) -> None:
    assert _query(path, "PRAGMA journal_mode") == [("wal",)]
    assert _query(path, "PRAGMA page_size") == [(8192,)]
    with store.database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_the_log_is_cut_when_it_has_grown(store: SqlStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treerings_sql.sqlite._WAL_BYTES", 100_000)
    store.write([make_step(number, input="x" * 2000) for number in range(100)])
    assert path.with_name("runs.db-wal").stat().st_size == 0


# -- statements ------------------------------------------------------------------------------------------------------


def _statements(store: SqlStore) -> list[str]:
    """The statements that the store executes from now on."""
    said: list[str] = []

    @sqlalchemy.event.listens_for(store.database.engine, "before_cursor_execute")
    def _note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    return said


def test_a_batch_is_a_handful_of_statements(store: SqlStore) -> None:
    batch = [step for number in range(1, 250) for step in make_workflow(number, labels={"team": "growth"})]
    said = _statements(store)
    store.write(batch)
    assert [statement.partition("(")[0].strip() for statement in said] == [
        "BEGIN IMMEDIATE",
        "SELECT",
        "INSERT INTO step",
        "INSERT INTO payload",
        "INSERT INTO workflow",
        "INSERT INTO label",
        "INSERT INTO writer",
    ]


def test_batches_of_any_size_share_few_statements(store: SqlStore) -> None:
    said = _statements(store)
    for size in range(1, 200):
        store.write([make_step(number) for number in range(size)])
    assert len({statement for statement in said if statement.startswith("INSERT INTO step")}) < 30


@pytest.mark.parametrize("limit", [999, 32_766])
def test_batches_keep_to_the_variables_that_sqlite_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    connect = sqlite3.connect

    def limited(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, limit)
        return connection

    monkeypatch.setattr(sqlite3, "connect", limited)
    store = SqlStore(f"sqlite:///{tmp_path}/runs.db")
    batch = [make_step(0, workflow=number, labels={"n": str(number)}, input=number) for number in range(2_500)]
    store.write(batch)
    store.write(batch)
    assert (len(store.workflows()), store.totals()[0].steps) == (2_500, 2_500)
    store.close()


def _plan(store: SqlStore, ask: Any) -> str:
    """How SQLite answers the last statement of a question."""
    said: list[tuple[str, Any]] = []

    @sqlalchemy.event.listens_for(store.database.engine, "before_cursor_execute")
    def _note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        said.append((statement, values))

    ask()
    statement, values = said[-1]
    with store.database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    return "\n".join(row[3] for row in rows)


def test_the_latest_workflows_come_from_their_index(store: SqlStore) -> None:
    plan = _plan(store, lambda: store.workflows(Filter(limit=50)))
    assert plan == "SCAN workflow USING INDEX ix_workflow_started"


def test_the_latest_workflows_of_an_agent_need_no_scan_of_steps(store: SqlStore) -> None:
    plan = _plan(store, lambda: store.workflows(Filter(agent="writer", limit=50)))
    assert "SCAN workflow USING INDEX ix_workflow_started" in plan
    assert "SEARCH step USING INDEX ix_step_workflow" in plan


def test_one_tree_comes_from_an_index(store: SqlStore) -> None:
    plan = _plan(store, lambda: store.workflow(workflow_id(1)))
    assert "SEARCH step USING INDEX ix_step_workflow" in plan
    assert "SEARCH payload USING INDEX" in plan


def test_totals_since_come_from_an_index(store: SqlStore) -> None:
    store.write(make_workflow())
    plan = _plan(store, lambda: store.totals(["agent", "model"], Filter(since=datetime(2026, 1, 1, tzinfo=UTC))))
    assert "SEARCH step USING INDEX ix_step_started" in plan


def test_totals_of_a_label_come_from_an_index(store: SqlStore) -> None:
    plan = _plan(store, lambda: store.totals(filter=Filter(labels={"team": "growth"})))
    assert "SEARCH step USING INDEX ix_step_workflow" in plan
    assert "SEARCH label USING PRIMARY KEY" in plan


def test_changes_come_from_an_index(store: SqlStore) -> None:
    assert "SEARCH step USING INDEX ix_step_revision" in _plan(store, lambda: store.changes(5))


def test_ids_that_look_like_sql_are_data(store: SqlStore) -> None:
    assert store.workflow("' OR 1=1 --") is None
    assert store.workflows(Filter(workflow_id="%", since=START, name="' OR 1=1 --")) == []
    assert step_id(0) == workflow_id(1)
