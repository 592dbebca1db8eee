"""`treerings run`: the program does what it does under `python`, and is recorded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from treerings import open_store

PROGRAM = """
import sys
import treerings

with treerings.step("workflow", "job"):
    with treerings.step("tool", "search"):
        pass
"""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TREERINGS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("TREERINGS_STORE", raising=False)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "treerings", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60)


def write(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def test_what_a_script_does_is_in_the_store(tmp_path: Path) -> None:
    assert run(write("app.py", PROGRAM)).returncode == 0
    store = open_store(f"sqlite:///{tmp_path / 'data' / 'treerings.db'}")
    assert [workflow.name for workflow in store.workflows()] == ["job"]
    store.close()


def test_the_summary_says_what_was_recorded_and_how_to_see_it() -> None:
    assert run(write("app.py", PROGRAM)).stderr == "treerings: 1 workflow, 2 steps, $0 - treerings show last\n"


def test_the_summary_names_the_store_that_was_given() -> None:
    result = run("--store", "here.db", write("app.py", PROGRAM))
    assert result.stderr == "treerings: 1 workflow, 2 steps, $0 - treerings show last --store here.db\n"
    assert Path("here.db").exists()


def test_without_any_run_the_summary_points_to_doctor() -> None:
    assert run(write("app.py", "")).stderr.endswith(" - treerings doctor\n")


def test_quiet_prints_nothing() -> None:
    assert run("--quiet", write("app.py", PROGRAM)).stderr == ""


def test_what_threads_and_exit_functions_do_is_recorded_too() -> None:
    program = """
import atexit, threading, time, treerings

def work(name):
    time.sleep(0.05)
    with treerings.step("workflow", name):
        pass

threading.Thread(target=work, args=["thread"]).start()
atexit.register(work, "exit")
"""
    assert run(write("app.py", program)).stderr.startswith("treerings: 2 workflows, 2 steps")


@pytest.mark.parametrize(
    "program",
    [
        "import sys; print(sys.argv, sys.path[0])",
        "print(__name__, __file__, __package__, __spec__, __doc__)",
        "import sys; print(sys.modules['__main__'].__dict__ is globals(), __builtins__.__name__)",
        "x: int = 1; print(__annotations__)",
        "import helper; print(helper.__name__)",
        "import sys; sys.exit()",
        "import sys; sys.exit(7)",
        "import sys; sys.exit('no')",
        "raise ValueError('broken')",
        "def f(:",
        "import missing_module",
        "import sys; sys.excepthook = lambda kind, error, trace: print('hook', kind.__name__); raise KeyError('x')",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error",
        "class A:\n    pass\nimport pickle; print(type(pickle.loads(pickle.dumps(A()))) is A)",
        "import inspect\ndef f(): pass\nprint(inspect.getsource(f))",
        "import sys; print(sys.stdout.errors, sys.stderr.errors)",
        "import logging; logging.warning('x'); print(logging.getLogger().handlers)",
    ],
)
def test_a_script_behaves_as_under_python(program: str) -> None:
    write("folder/helper.py", "")
    script = write("folder/app.py", f"'''docs'''\n{program}\n")
    ours, theirs = run("--quiet", script, "--json", "-q", "a b"), python(script, "--json", "-q", "a b")
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


@pytest.mark.parametrize("name", ["pkg", "pkg.tool", "module"])
def test_a_module_behaves_as_under_python(name: str) -> None:
    write("pkg/__init__.py", "")
    body = "import sys; print(sys.argv, sys.path[0], __name__, __package__, __spec__.name, __file__); sys.exit(3)"
    for file in ("pkg/__main__.py", "pkg/tool.py", "module.py"):
        write(file, body)
    ours, theirs = run("-q", "-m", name, "-x", "--y=1"), python("-m", name, "-x", "--y=1")
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_a_folder_with_a_main_is_run() -> None:
    write("app/__main__.py", "import sys, helper; print(sys.argv, sys.path[0], __file__)")
    write("app/helper.py", "")
    ours, theirs = run("-q", "app", "1"), python("app", "1")
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)


def test_processes_that_the_program_starts_find_its_main() -> None:
    program = """
import multiprocessing

def double(number):
    return 2 * number

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(double, [21]))
"""
    assert run("-q", write("app.py", program)).stdout == "[42]\n"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_with_130_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    script = write("app.py", PROGRAM + "print('ready', flush=True)\nimport time; time.sleep(60)\n")
    command = [sys.executable, "-m", "treerings", "run", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def hear() -> None:  # a shell's background job, the tests themselves perhaps, starts deaf to SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, **pipes, text=True, preexec_fn=hear) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "KeyboardInterrupt" in stderr
    assert "treerings: 1 workflow, 2 steps" in stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope.py"], "Error: No script 'nope.py'."),
        (["json"], "Did you mean: treerings run -m json?"),
        (["-m", "no_such_module"], "Error: No module 'no_such_module'"),
        (["-m", "no.such.module"], "Error: No module 'no.such.module'"),
        (["-m", "wsgiref"], "Error: wsgiref is a package without __main__.py"),
        (["--nope", "app.py"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert said in result.stderr.splitlines()[-1]


def test_an_unknown_store_is_said_before_the_program_runs() -> None:
    result = run("--store", "redis://localhost", write("app.py", "print('ran')"))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: No store named 'redis'")
