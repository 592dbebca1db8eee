"""How processes end: whatever was said is in the store afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from treerings import open_store

RunProgram = Callable[..., subprocess.CompletedProcess[str]]


PROLOGUE = """
import os, sys, threading
import treerings
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs.db'}"


def stored(url: str) -> dict[str, str]:
    """The status of each step, by name."""
    store = open_store(url)
    found = {}
    for listed in store.workflows():
        workflow = store.workflow(listed.id)
        assert workflow is not None
        found.update({step.name: str(step.status) for step in workflow.steps})
    store.close()
    return found


def test_the_end_of_the_program_stores_everything(run_program: RunProgram, url: str) -> None:
    done = run_program(PROLOGUE + 'with treerings.step("task", "work"): pass', TREERINGS_STORE=url)
    assert (stored(url), done.stderr) == ({"work": "ok"}, "")


def test_an_exception_that_ends_the_program_is_recorded(run_program: RunProgram, url: str) -> None:
    done = run_program(
        PROLOGUE + 'with treerings.step("task", "work"): raise ValueError("broken")', TREERINGS_STORE=url, code=1
    )
    assert stored(url) == {"work": "error"}
    assert done.stderr.strip().splitlines()[-1] == "ValueError: broken"


def test_sys_exit_in_a_thread_and_in_the_main_program_store_everything(run_program: RunProgram, url: str) -> None:
    run_program(
        PROLOGUE
        + """
def work():
    with treerings.step("task", "in a thread"):
        sys.exit(1)
thread = threading.Thread(target=work)
thread.start()
thread.join()
with treerings.step("task", "work"):
    sys.exit(3)
""",
        TREERINGS_STORE=url,
        code=3,
    )
    assert stored(url) == {"in a thread": "cancelled", "work": "cancelled"}


def test_a_daemon_thread_that_is_still_in_a_step_leaves_it_incomplete(run_program: RunProgram, url: str) -> None:
    done = run_program(
        PROLOGUE
        + """
inside = threading.Event()
def work():
    with treerings.step("task", "endless"):
        inside.set()
        threading.Event().wait()
threading.Thread(target=work, daemon=True).start()
inside.wait()
""",
        TREERINGS_STORE=url,
    )
    assert (stored(url), done.stderr) == ({"endless": "incomplete"}, "")


def test_several_event_loops_store_everything(run_program: RunProgram, url: str) -> None:
    run_program(
        PROLOGUE
        + """
import asyncio
@treerings.step("task")
async def work(): await asyncio.sleep(0)
for _ in range(3):
    asyncio.run(work())
print(treerings.flush())
""",
        TREERINGS_STORE=url,
    )
    assert len(open_store(url).workflows()) == 3


def test_strict_durability_survives_a_process_that_is_gone_at_once(run_program: RunProgram, url: str) -> None:
    run_program(
        PROLOGUE
        + """
with treerings.step("task", "work"):
    with treerings.step("tool", "inside"):
        pass
    os._exit(9)
""",
        TREERINGS_STORE=url,
        TREERINGS_DURABILITY="strict",
        code=9,
    )
    assert stored(url)["inside"] == "ok"


def test_a_program_with_a_store_that_cannot_be_opened_runs_and_says_where_its_steps_are(
    run_program: RunProgram, tmp_path: Path
) -> None:
    done = run_program(
        PROLOGUE + 'with treerings.step("task", "work"): print("result")',
        TREERINGS_STORE=f"sqlite:///{tmp_path}/no/such/x.db",
    )
    assert done.stdout == "result\n"
    assert "Traceback" not in done.stderr


def test_steps_that_could_not_be_stored_are_stored_at_the_next_run(run_program: RunProgram, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    folder.write_text("in the way")
    url = f"sqlite:///{folder}/runs.db"
    program = PROLOGUE + 'with treerings.step("task", sys.argv[1]): pass'
    done = run_program(program, "first", TREERINGS_STORE=url)
    assert "are kept in" in done.stderr
    folder.unlink()
    run_program(program, "second", TREERINGS_STORE=url)
    assert stored(url) == {"first": "ok", "second": "ok"}


def test_a_store_that_nobody_registered_is_said_in_a_line(run_program: RunProgram) -> None:
    done = run_program(PROLOGUE + 'with treerings.step("task", "work"): pass', TREERINGS_STORE="redis://cache")
    assert "The store cannot be written; steps wait and are tried again: No store named 'redis'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "fork"), reason="needs os.fork")
class TestForks:
    def test_parent_and_child_both_store_what_they_said(self, run_program: RunProgram, url: str) -> None:
        run_program(
            PROLOGUE
            + """
with treerings.step("workflow", "parent"):
    with treerings.step("task", "before"): pass
    pid = os.fork()
    if pid == 0:
        with treerings.step("task", "child"): pass
        treerings.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    with treerings.step("task", "after"): pass
report = treerings.flush()
assert (report.recorded, report.stored, report.dropped) == (3, 3, 0), report
""",
            TREERINGS_STORE=url,
            TREERINGS_FLUSH_INTERVAL="30",
        )
        assert stored(url) == dict.fromkeys(["parent", "before", "child", "after"], "ok")

    def test_a_child_that_ends_as_programs_do_stores_everything(self, run_program: RunProgram, url: str) -> None:
        run_program(
            PROLOGUE
            + """
with treerings.step("task", "before"): pass
pid = os.fork()
with treerings.step("task", "child" if pid == 0 else "parent"): pass
if pid:
    assert os.waitpid(pid, 0)[1] == 0
""",
            TREERINGS_STORE=url,
        )
        assert stored(url) == dict.fromkeys(["before", "child", "parent"], "ok")

    def test_workers_that_are_forked_after_the_recorder_was_used_store_everything(
        self, run_program: RunProgram, url: str
    ) -> None:
        run_program(
            PROLOGUE
            + """
with treerings.step("task", "preload"): pass
treerings.flush()
children = []
for number in range(2):
    pid = os.fork()
    if pid == 0:
        for request in range(5):
            with treerings.step("task", f"worker {number} request {request}"): pass
        sys.exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
""",
            TREERINGS_STORE=url,
        )
        assert len(stored(url)) == 11

    def test_a_fork_of_a_fork_stores_too(self, run_program: RunProgram, url: str) -> None:
        run_program(
            PROLOGUE
            + """
with treerings.step("task", "first"): pass
pid = os.fork()
if pid == 0:
    with treerings.step("task", "second"): pass
    inner = os.fork()
    with treerings.step("task", "second again" if inner else "third"): pass
    if inner:
        assert os.waitpid(inner, 0)[1] == 0
else:
    assert os.waitpid(pid, 0)[1] == 0
""",
            TREERINGS_STORE=url,
        )
        assert stored(url) == dict.fromkeys(["first", "second", "second again", "third"], "ok")

    def test_a_fork_while_other_threads_record_does_not_hang(self, run_program: RunProgram, url: str) -> None:
        run_program(
            PROLOGUE
            + """
stop = threading.Event()
def work():
    while not stop.wait(0.002):
        with treerings.step("task", "noise"): pass
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for number in range(5):
    pid = os.fork()
    if pid == 0:
        with treerings.step("task", f"child {number}"): pass
        report = treerings.flush()
        os._exit(0 if (report.recorded, report.stored) == (1, 1) else 1)
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
report = treerings.flush()
assert report.recorded == report.stored, report
""",
            TREERINGS_STORE=url,
        )
        assert {f"child {number}" for number in range(5)} < stored(url).keys()

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_children_of_multiprocessing_store_everything(self, run_program: RunProgram, url: str, method: str) -> None:
        run_program(
            PROLOGUE
            + """
import multiprocessing

def work(number):
    with treerings.step("task", f"child {number}"): pass

if __name__ == "__main__":
    with treerings.step("task", "parent"): pass
    context = multiprocessing.get_context(sys.argv[1])
    processes = [context.Process(target=work, args=(number,)) for number in range(2)]
    for process in processes: process.start()
    for process in processes: process.join()
    assert [process.exitcode for process in processes] == [0, 0]
""",
            method,
            TREERINGS_STORE=url,
        )
        assert stored(url) == dict.fromkeys(["parent", "child 0", "child 1"], "ok")
