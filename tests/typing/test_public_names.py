"""The public names as a type checker sees them: decorated functions keep their signature, wrong uses are errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def mypy(path: Path) -> str:
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return done.stdout + done.stderr


def test_the_public_names_have_the_types_that_they_promise() -> None:
    assert mypy(ROOT / "tests" / "typing" / "public_names.py") == ""


def test_wrong_uses_are_errors_where_they_are(tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(
        """\
import treerings

@treerings.step("tool")
def search(query: str) -> list[str]: return [query]

@treerings.step
async def fetch(number: int) -> bytes: return b""

search(1)
search("a").upper()
fetch("a")
treerings.labels(session_id=7)
treerings.carry(search)(2)
"""
    )
    lines = [int(number) for number in re.findall(r"wrong\.py:(\d+): error", mypy(program))]
    assert sorted(set(lines)) == [9, 10, 11, 12, 13]
