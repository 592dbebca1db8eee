"""Files of steps that wait on disk: whose they are, and what becomes of torn ones."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from treerings import Kind, Status, Step, Usage
from treerings.spool import Spool


def a_step(id: str) -> Step:
    step = Step(id, "w", None, 1, Kind.LLM, id, "test", Status.OK, 1_767_225_600_000_000_000)
    step.usage, step.cost_usd = Usage(input_tokens=3), Decimal("0.25")
    step.input, step.labels = {"messages": ["é \ud800", None, 1.5]}, {"team": "a"}
    return step


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_was_set_aside_comes_back_whole_and_once(tmp_path: Path) -> None:
    spool, stored = Spool(tmp_path, "a"), list[Step]()
    spool.add([a_step("x"), a_step("y")], 2)
    spool.replay(stored.extend)
    spool.replay(stored.extend)
    assert [step.id for step in stored] == ["x", "y"]
    assert (stored[0].usage, stored[0].cost_usd, stored[0].labels) == (
        Usage(input_tokens=3),
        Decimal("0.25"),
        {"team": "a"},
    )
    assert stored[0].input == {"messages": ["é ?", None, 1.5]}
    assert (spool.take_replayed(), list(tmp_path.iterdir())) == (2, [])


def test_a_failing_replay_leaves_the_file(tmp_path: Path) -> None:
    spool, stored = Spool(tmp_path, "a"), list[Step]()
    spool.add([a_step("x")], 1)
    with pytest.raises(ZeroDivisionError):
        spool.replay(lambda steps: 1 / 0)  # type: ignore[arg-type, return-value]
    spool.replay(stored.extend)
    assert [step.id for step in stored] == ["x"]


def test_the_file_of_a_dead_process_is_adopted(tmp_path: Path, dead_pid: int) -> None:
    earlier = Spool(tmp_path, "earlier")
    earlier.path = tmp_path / f"{dead_pid}-earlier.jsonl"
    earlier.add([a_step("x")], 1)
    stored: list[Step] = []
    Spool(tmp_path, "now").adopt(stored.extend)
    assert ([step.id for step in stored], list(tmp_path.iterdir())) == (["x"], [])


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    other = Spool(tmp_path, "other")
    other.path = tmp_path / f"{os.getppid()}-other.jsonl"
    other.add([a_step("x")], 1)
    stored: list[Step] = []
    Spool(tmp_path, "now").adopt(stored.extend)
    assert (stored, [path.name for path in tmp_path.iterdir()]) == ([], [other.path.name])


def test_a_torn_line_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool, stored = Spool(tmp_path, "a"), list[Step]()
    spool.add([a_step("x"), a_step("y")], 2)
    spool.path.write_bytes(spool.path.read_bytes()[:-40])
    spool.replay(stored.extend)
    assert [step.id for step in stored] == ["x"]
    assert f"{spool.path} line 2 cannot be read and is left out" in caplog.text


def test_a_file_that_someone_took_over_is_theirs_to_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, "a")
    spool.add([a_step("x")], 1)
    spool.path.rename(tmp_path / "1-a.jsonl")
    spool.replay(lambda steps: None)
    assert not spool.has_own
    assert "was taken over by another process" in caplog.text


def test_a_file_that_was_left_half_adopted_is_adopted_again(tmp_path: Path, dead_pid: int) -> None:
    earlier = Spool(tmp_path, "earlier")
    earlier.path = tmp_path / f"{dead_pid}-earlier.jsonl"
    earlier.add([a_step("x")], 1)
    with pytest.raises(ZeroDivisionError):
        Spool(tmp_path, "now").adopt(lambda steps: 1 / 0)  # type: ignore[arg-type, return-value]
    stored: list[Step] = []
    Spool(tmp_path, "later").adopt(stored.extend)
    assert ([step.id for step in stored], list(tmp_path.iterdir())) == (["x"], [])
