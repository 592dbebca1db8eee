"""Steps that a dead process left running are incomplete; those of a live one still run."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from treerings.events import Status
from treerings.store import Filter
from treerings.testing.store_tests import make_step, make_workflow, workflow_id
from treerings_sql import liveness
from treerings_sql.store import SqlStore

Run = Callable[[str], subprocess.Popen[str]]

_WRITER = """
import sys
from treerings.events import Status
from treerings.testing.store_tests import make_step
from treerings_sql.store import SqlStore

store = SqlStore(sys.stdin.readline().strip())
store.write([make_step(0, status=Status.RUNNING), make_step(1, status=Status.RUNNING), make_step(2, cost="0.5")])
print("written", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    store = SqlStore(url)
    yield store
    store.close()


def _written(process: subprocess.Popen[str], url: str) -> subprocess.Popen[str]:
    """Wait until the other process has written its running steps."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{url}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "written\n"
    return process


def _statuses(store: SqlStore) -> tuple[str, list[str]]:
    """The status of the first workflow as listings show it, and of its steps."""
    tree = store.workflow(workflow_id(1))
    assert tree is not None
    return store.workflows()[0].status.value, [step.status.value for step in tree.steps]


def _change_writer(url: str, **values: object) -> None:
    """Make the registered writer look like another process."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for name, value in values.items():
            connection.execute(f"UPDATE writer SET {name} = ?", (value,))
        connection.commit()


def test_steps_of_a_living_process_run(store: SqlStore, url: str, run_script: Run) -> None:
    _written(run_script(_WRITER), url)
    assert _statuses(store) == ("running", ["running", "running", "ok"])


def test_steps_of_a_killed_process_are_incomplete_at_the_next_look(store: SqlStore, url: str, run_script: Run) -> None:
    process = _written(run_script(_WRITER), url)
    process.kill()
    process.wait()
    assert _statuses(store) == ("incomplete", ["incomplete", "incomplete", "ok"])


def test_a_process_that_is_dead_but_not_yet_buried_is_dead(store: SqlStore, url: str, run_script: Run) -> None:
    process = _written(run_script(_WRITER), url)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert _statuses(store)[0] == "incomplete"


def test_incomplete_steps_have_no_invented_end(store: SqlStore, url: str, run_script: Run) -> None:
    process = _written(run_script(_WRITER), url)
    process.kill()
    process.wait()
    (workflow,) = store.workflows()
    assert (workflow.ended_ns, workflow.duration_ms) == (None, None)


def test_totals_follow_the_repair(store: SqlStore, url: str, run_script: Run) -> None:
    process = _written(run_script(_WRITER), url)
    process.kill()
    process.wait()
    (totals,) = store.totals()
    assert (totals.unpriced_calls, totals.cost_usd) == (1, Decimal("0.5"))
    assert store.workflows()[0].totals == totals


def test_a_real_end_overrides_incomplete(store: SqlStore, url: str, run_script: Run) -> None:
    process = _written(run_script(_WRITER), url)
    process.kill()
    process.wait()
    store.totals()
    store.write([make_step(0), make_step(1, cost="0.25")])
    assert _statuses(store) == ("ok", ["ok", "ok", "ok"])
    assert store.workflows()[0].totals.cost_usd == Decimal("0.75")


def test_opening_repairs_for_those_who_look_into_the_file_themselves(url: str, run_script: Run) -> None:
    process = _written(run_script(_WRITER), url)
    process.kill()
    process.wait()
    SqlStore(url).close()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT status FROM workflow").fetchall() == [("incomplete",)]


def test_a_tail_sees_the_repair(store: SqlStore, url: str, run_script: Run) -> None:
    process = _written(run_script(_WRITER), url)
    cursor, _ = store.changes()
    process.kill()
    process.wait()
    assert [step.status for step in store.changes(cursor)[1]] == [Status.INCOMPLETE] * 2


def test_a_later_process_with_the_same_pid_is_another_one(store: SqlStore, url: str) -> None:
    writer = SqlStore(url)
    writer.write([make_step(0, status=Status.RUNNING)])
    assert _statuses(store)[0] == "running"
    _change_writer(url, started="another boot, another time")
    assert _statuses(store)[0] == "incomplete"


@pytest.mark.parametrize(("age", "status"), [(59, "running"), (61, "incomplete")])
def test_on_another_host_the_heartbeat_decides(
    store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch, age: int, status: str
) -> None:
    writer = SqlStore(url)
    writer.write([make_step(0, status=Status.RUNNING)])
    _change_writer(url, host="elsewhere")
    later = liveness.now() + age * 1_000_000_000
    monkeypatch.setattr(liveness, "now", lambda: later)
    assert _statuses(store)[0] == status


def test_a_heartbeat_keeps_a_silent_writer_alive(store: SqlStore, url: str) -> None:
    writer = SqlStore(url)
    writer.write([make_step(0, status=Status.RUNNING)])
    _change_writer(url, host="elsewhere", heartbeat_at="2020-01-01 00:00:00.000000")
    writer.heartbeat()
    assert _statuses(store)[0] == "running"


def test_a_writer_that_was_taken_for_dead_registers_again(store: SqlStore, url: str) -> None:
    writer = SqlStore(url)
    writer.write([make_step(0, status=Status.RUNNING)])
    _change_writer(url, host="elsewhere", heartbeat_at="2020-01-01 00:00:00.000000")
    assert _statuses(store)[0] == "incomplete"
    writer.write([make_step(0, status=Status.RUNNING)])
    assert _statuses(store)[0] == "running"


def test_a_heartbeat_before_anything_was_written_writes_nothing(store: SqlStore, url: str) -> None:
    store.heartbeat()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*) FROM writer").fetchone() == (0,)


def test_closed_stores_leave_one_writer_row_at_most(url: str) -> None:
    for number in range(1, 4):
        store = SqlStore(url)
        store.write(make_workflow(number))
        store.close()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*), max(heartbeat_at) FROM writer").fetchall() == [(1, None)]


def test_what_a_closed_store_left_running_is_looked_after(store: SqlStore, url: str, run_script: Run) -> None:
    closing_writer = _WRITER.replace('print("written"', 'store.close()\nprint("written"')
    process = _written(run_script(closing_writer), url)
    process.kill()
    process.wait()
    assert _statuses(store)[0] == "incomplete"
    assert store.workflows(Filter(status="running")) == []
