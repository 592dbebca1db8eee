"""Every test runs apart: a data folder and a working directory of its own, no settings and no tracing from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from treerings import instrumentation, runtime
from treerings.testing import recordings

RECORDINGS = recordings.folder()
"""Found before a test changes the working directory."""
RunProgram = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the user's machine or of another test gets in; whatever the test recorded for real is let go."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("TREERINGS_", "LANGSMITH_", "LANGCHAIN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TREERINGS_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    if RECORDINGS is not None:
        monkeypatch.setenv("TREERINGS_RECORDINGS", str(RECORDINGS))
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "false")
    (home / "work").mkdir()
    monkeypatch.chdir(home / "work")
    yield
    instrumentation.uninstrument()
    recorder = runtime.use_recorder(None)
    if recorder is not None:
        recorder.close(10)
    runtime.forget()


@pytest.fixture
def run_program(tmp_path: Path) -> RunProgram:
    """Runs a program's text in a process of its own, warnings as errors, and gives what it printed.

    It ends with the code 0 unless `code` says otherwise; what it prints on stderr is in the failure.
    """

    def run(text: str, *arguments: str, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        program = tmp_path / f"program_{len(list(tmp_path.glob('program_*.py')))}.py"
        program.write_text(textwrap.dedent(text))
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environment},
        )
        assert code is None or done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
