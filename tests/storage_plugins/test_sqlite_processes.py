"""Several processes at one SQLite file: writing at once, creating it at once, forking."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from treerings.store import Filter
from treerings.testing.store_tests import make_step, make_workflow, workflow_id
from treerings_sql.store import SqlStore

Run = Callable[[str], subprocess.Popen[str]]

_OPENER = """
import sys
from treerings_sql.store import SqlStore

print("ready", flush=True)
SqlStore(sys.stdin.readline().strip()).close()
print("opened", flush=True)
"""

_WRITER = """
import sys
from treerings.testing.store_tests import make_step
from treerings_sql.store import SqlStore

print("ready", flush=True)
url, number = sys.stdin.readline().split()
store = SqlStore(url)
for round in range(20):
    first = int(number) * 10_000 + round * 10
    store.write([make_step(first + place, cost="0.001") for place in range(10)])
store.close()
print("done", flush=True)
"""


def _together(processes: list[subprocess.Popen[str]], inputs: list[str]) -> list[str]:
    """Wait until all are ready, let them go at once, and return what each says at its end."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process, line in zip(processes, inputs, strict=True):
        assert process.stdin is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0] for process in processes]


def test_processes_that_create_a_file_at_once_all_open_it(tmp_path: Path, run_script: Run) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    assert _together([run_script(_OPENER) for _ in range(4)], [url] * 4) == ["opened\n"] * 4


def test_processes_that_feed_one_workflow_add_up_exactly(tmp_path: Path, run_script: Run) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    said = _together([run_script(_WRITER) for _ in range(3)], [f"{url} {number}" for number in (1, 2, 3)])
    assert said == ["done\n"] * 3
    store = SqlStore(url)
    (workflow,) = store.workflows()
    assert (workflow.totals.steps, workflow.totals.cost_usd) == (600, Decimal("0.600"))
    assert store.totals()[0].cost_usd == Decimal("0.600")
    assert len(store.changes(0)[1]) == 600
    store.close()


_ENDLESS = """
import itertools, sys
from treerings.testing.store_tests import make_step
from treerings_sql.store import SqlStore

store = SqlStore(sys.stdin.readline().strip())
for first in itertools.count(1, 10):
    store.write([make_step(number, cost="0.001", input="x" * 2000) for number in range(first, first + 10)])
    print(first, flush=True)
"""


def test_a_writer_that_is_killed_loses_no_batch_that_it_had_written(tmp_path: Path, run_script: Run) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    writer = run_script(_ENDLESS)
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write(f"{url}\n")
    writer.stdin.flush()
    acknowledged = sum(10 for _ in range(20) if writer.stdout.readline())
    writer.kill()
    acknowledged += 10 * len(writer.communicate()[0].splitlines())
    store = SqlStore(url)
    (totals,) = store.totals()
    assert totals.steps >= acknowledged >= 200
    assert totals.steps % 10 == 0
    assert store.workflows()[0].totals == totals
    store.close()


def _in_child(work: Callable[[], bool]) -> bool:
    """Fork, do the work there, and say whether it went well."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
class TestForks:
    def test_no_file_of_the_store_is_open_in_a_child(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/runs.db")
        store.write(make_workflow())

        def nothing_is_open() -> bool:
            links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
            return not any(str(tmp_path) in os.readlink(link) for link in links if os.path.islink(link))

        assert _in_child(nothing_is_open)
        store.close()

    def test_collecting_the_parents_store_in_the_child_does_not_harm_the_parent(self, tmp_path: Path) -> None:
        stores = [SqlStore(f"sqlite:///{tmp_path}/runs.db")]
        stores[0].write(make_workflow(1))

        def collect() -> bool:
            stores.clear()
            gc.collect()
            return True

        assert _in_child(collect)
        stores[0].write(make_workflow(2))
        assert len(stores[0].workflows()) == 2
        stores[0].close()

    def test_the_parents_store_works_in_the_child_as_a_store_of_its_own(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/runs.db")
        store.write(make_workflow(1))

        def write() -> bool:
            store.write(make_workflow(2))
            store.close()
            return True

        assert _in_child(write)
        assert len(store.workflows()) == 2
        store.close()

    def test_the_child_keeps_writing_when_the_parent_has_closed(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/runs.db"
        store = SqlStore(url)
        store.write(make_workflow(1))
        reader, writer = os.pipe()

        pid = os.fork()
        if pid == 0:
            try:
                own = SqlStore(url)
                own.write([make_step(0, workflow=2)])
                os.read(reader, 1)  # until the parent has closed
                own.write([make_step(0, workflow=3)])
                own.close()
            finally:
                os._exit(0)
        store.close()
        os.write(writer, b".")
        os.waitpid(pid, 0)
        again = SqlStore(url)
        assert [found.id for found in again.workflows(Filter(name="workflow"))] == [workflow_id(n) for n in (3, 2, 1)]
        again.close()

    def test_a_store_in_memory_is_copied(self) -> None:
        store = SqlStore("sqlite://")
        store.write(make_workflow(1))

        def write() -> bool:
            store.write(make_workflow(2))
            return len(store.workflows()) == 2

        assert _in_child(write)
        assert len(store.workflows()) == 1
        store.close()
