"""What is particular to JSON Lines: torn lines, several processes, files as a person reads them."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from treerings.errors import StoreError
from treerings.store import Filter
from treerings.testing.store_tests import make_step, make_workflow, workflow_id
from treerings_jsonl.plugin import JsonlStore

_WRITER = """
import sys
from treerings.testing.store_tests import make_step
from treerings_jsonl.plugin import JsonlStore

url, number = sys.stdin.readline().split()
store = JsonlStore(url)
for round in range(20):
    first = int(number) * 10_000 + round * 10
    store.write([make_step(first + place, input="x" * 5000) for place in range(10)])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl"


@pytest.fixture
def store(path: Path) -> Iterator[JsonlStore]:
    store = JsonlStore(f"jsonl:///{path}")
    yield store
    store.close()


def test_a_line_is_a_step_that_a_person_can_read(store: JsonlStore, path: Path) -> None:
    store.write([make_step(0, name="crew 🌲", cost="0.25")])
    (line,) = path.read_text().splitlines()
    step = json.loads(line)
    assert (step["name"], step["cost_usd"], step["status"]) == ("crew 🌲", "0.25", "ok")


def test_a_directory_holds_a_file_of_steps(tmp_path: Path) -> None:
    JsonlStore(f"jsonl:///{tmp_path}").write(make_workflow())
    assert [path.name for path in tmp_path.iterdir()] == ["steps.jsonl"]


@pytest.mark.parametrize("url", ["jsonl://", "jsonl:///", "json:///x", "runs.jsonl"])
def test_a_wrong_url_is_told_what_to_type(url: str) -> None:
    with pytest.raises(StoreError, match=r"Type jsonl:///runs\.jsonl"):
        JsonlStore(url)


def test_a_torn_last_line_is_left_out(store: JsonlStore, path: Path) -> None:
    store.write(make_workflow())
    path.write_bytes(path.read_bytes()[:-10])
    assert store.totals()[0].steps == 3


def test_writing_goes_on_after_a_torn_line(store: JsonlStore, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store.write(make_workflow(1))
    path.write_bytes(path.read_bytes()[:-10])
    store.write(make_workflow(2))
    with caplog.at_level(logging.WARNING, "treerings"):
        assert store.totals()[0].steps == 7
    assert "a line was skipped" in caplog.text


def test_lines_of_something_else_are_skipped(store: JsonlStore, path: Path) -> None:
    path.write_text('{"not": "a step"}\nnor this\n[]\n')
    store.write(make_workflow())
    assert store.totals()[0].steps == 4


def test_processes_that_append_at_once_lose_nothing(
    store: JsonlStore, run_script: Callable[[str], subprocess.Popen[str]]
) -> None:
    writers = [run_script(_WRITER) for _ in range(3)]
    for number, writer in enumerate(writers, 1):
        assert writer.stdin is not None
        writer.stdin.write(f"{store.url} {number}\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert store.totals()[0].steps == 600


def test_a_deletion_is_seen_by_stores_that_are_open(store: JsonlStore) -> None:
    other = JsonlStore(store.url)
    store.write([*make_workflow(1), *make_workflow(2, model="old")])
    assert other.totals()[0].steps == 8
    store.delete(Filter(model="old"))
    assert [found.id for found in other.workflows()] == [workflow_id(1)]
    other.write([make_step(9)])
    assert store.totals()[0].steps == 5


def test_a_tail_goes_on_over_the_deletion_of_another(store: JsonlStore) -> None:
    other = JsonlStore(store.url)
    store.write([*make_workflow(1), *make_workflow(2, model="old")])
    cursor, _ = other.changes()
    store.delete(Filter(model="old"))
    store.write([make_step(0, workflow=3)])
    assert workflow_id(3) in {step.workflow_id for step in other.changes(cursor)[1]}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    store = JsonlStore(f"jsonl:///{tmp_path}/runs.jsonl")
    (tmp_path / "runs.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"runs\.jsonl: Is a directory"):
        store.write(make_workflow())


def test_a_missing_file_is_an_empty_store(store: JsonlStore) -> None:
    assert (store.workflows(), store.totals()[0].steps) == ([], 0)


def test_a_full_disk_leaves_no_half_batch(store: JsonlStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    store.write(make_workflow(1))
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreError, match="No space left on device"):
        store.write(make_workflow(2))
    monkeypatch.undo()
    assert len(path.read_text().splitlines()) == 4
