"""What goes wrong with an SQLite file is said clearly, and harms nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
import sqlalchemy
from treerings.errors import StoreError
from treerings.store import Filter
from treerings.testing.store_tests import make_step, make_workflow, workflow_id
from treerings_sql.store import SqlStore

Unprivileged = Callable[[], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("mysql://host/db", "sqlite:///relative.db"),
        ("sqlite:runs.db", "sqlite:///relative.db"),
        ("sqlite://runs.db", "Type sqlite:///runs.db"),
        ("sqlite:///runs.db?mode=ro", "takes no options. Type sqlite:///runs.db"),
    ],
)
def test_a_wrong_url_is_told_what_to_type(url: str, advice: str) -> None:
    with pytest.raises(StoreError, match=advice.replace("?", r"\?")):
        SqlStore(url)


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a directory"):
        SqlStore(f"sqlite:///{tmp_path}")


def test_relative_paths_are_relative_to_where_the_store_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqlStore("sqlite:///runs.db")
    monkeypatch.chdir("/")
    store.write(make_workflow())
    store.close()
    assert (tmp_path / "runs.db").exists()
    assert store.url == f"sqlite:///{tmp_path}/runs.db"


@pytest.mark.parametrize("name", ["with space.db", "per%20cent#?.db".replace("?", ""), "ünï🌲.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    SqlStore(f"sqlite:///{tmp_path}/{name}").close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_missing_directories_are_created(tmp_path: Path) -> None:
    SqlStore(f"sqlite:///{tmp_path}/a/b/runs.db").close()
    assert (tmp_path / "a/b/runs.db").exists()


def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=f"Cannot create the directory of sqlite:///{tmp_path}/file/runs.db"):
        SqlStore(f"sqlite:///{tmp_path}/file/runs.db")


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and not few of them. " * 100)
    with pytest.raises(StoreError, match=r"notes\.txt: the file is not an SQLite database"):
        SqlStore(f"sqlite:///{path}")
    assert path.read_text() == "These are notes, and not few of them. " * 100


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE step (foot TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"tables of another program \(step\)"):
        SqlStore(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_directory_that_may_not_be_written_is_an_error(open_folder: Path, unprivileged: Unprivileged) -> None:
    open_folder.chmod(0o755)
    with unprivileged(), pytest.raises(StoreError, match=r"runs\.db: it cannot be opened; check that the directory"):
        SqlStore(f"sqlite:///{open_folder}/runs.db")


@pytest.fixture
def read_only(open_folder: Path) -> Path:
    """A store that may be read and not written, closed by its writer."""
    path = open_folder / "runs.db"
    store = SqlStore(f"sqlite:///{path}")
    store.write(make_workflow())
    store.close()
    path.chmod(0o444)
    open_folder.chmod(0o555)
    return path


def test_a_read_only_file_can_be_read(read_only: Path, unprivileged: Unprivileged) -> None:
    with unprivileged():
        store = SqlStore(f"sqlite:///{read_only}")
        assert store.totals()[0].steps == 4
        store.close()


@pytest.mark.parametrize("work", ["write", "delete"])
def test_a_read_only_file_cannot_be_written(read_only: Path, unprivileged: Unprivileged, work: str) -> None:
    with unprivileged():
        store = SqlStore(f"sqlite:///{read_only}")
        with pytest.raises(StoreError, match="the file or its directory is read-only"):
            store.write(make_workflow(2)) if work == "write" else store.delete(Filter())
        assert store.totals()[0].steps == 4
        store.close()


def test_an_empty_read_only_file_is_an_error(open_folder: Path, unprivileged: Unprivileged) -> None:
    (open_folder / "runs.db").touch(0o444)
    with unprivileged(), pytest.raises(StoreError, match=r"has no tables and is read-only"):
        SqlStore(f"sqlite:///{open_folder}/runs.db")


def _limit_pages(store: SqlStore, more: int | None) -> None:
    """Let the file grow by so many pages from now on; SQLite says then what it says on a full disk."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count + more if more is not None else 2**31}")

    store.database.engine.dispose()
    sqlalchemy.event.listen(store.database.engine, "connect", limit)


def test_a_full_disk_leaves_no_half_batch_and_a_usable_store(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/runs.db")
    store.write(make_workflow(1))
    before = (store.workflows(), store.totals())
    _limit_pages(store, 50)
    batch = [make_step(number, workflow=2, input="x" * 10_000) for number in range(200)]
    with pytest.raises(StoreError, match=r"runs\.db: the disk is full"):
        store.write(batch)
    assert (store.workflows(), store.totals()) == before
    store.write([make_step(9, workflow=1)])
    _limit_pages(store, None)
    store.write(batch)
    assert store.workflows()[0].totals.steps == 200
    store.close()


def test_who_finds_the_database_locked_for_too_long_is_told(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/runs.db", timeout=0.05)
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked by another process for more than 0\.05 s"):
            store.write(make_workflow())
        assert store.workflows() == []
        other.execute("ROLLBACK")
    store.write(make_workflow())
    assert [found.id for found in store.workflows()] == [workflow_id(1)]
    store.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqlStore(f"sqlite:///{path}")
    store.write([make_step(number, input="x" * 1000) for number in range(500)])
    store.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(path.stat().st_size - 8192))
    with pytest.raises(StoreError, match=r"runs\.db: the file is damaged"):
        SqlStore(f"sqlite:///{path}").totals()


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.write(make_workflow()),
        lambda store: store.workflow("a"),
        lambda store: store.workflows(),
        lambda store: store.totals(),
        lambda store: store.delete(Filter()),
        lambda store: store.changes(),
    ],
)
def test_a_closed_store_says_that_it_is_closed(tmp_path: Path, use: Callable[[SqlStore], object]) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/runs.db")
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        use(store)
