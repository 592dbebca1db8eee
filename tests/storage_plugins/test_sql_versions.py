"""The tables come into being, change their version and refuse what is newer."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from treerings.errors import StoreError
from treerings.testing.store_tests import make_workflow
from treerings_sql import versions
from treerings_sql.commands import store as store_command
from treerings_sql.sqlite import SQLiteDatabase
from treerings_sql.store import SqlStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def _query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(sql).fetchall()
        connection.commit()
        return found


def _schema(path: Path) -> dict[str, object]:
    """Everything that SQLite knows of the tables, apart from how their text is laid out."""
    names = [str(name) for (name,) in _query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    views = _query(path, "SELECT name, sql FROM sqlite_master WHERE type = 'view'")
    indexes = _query(path, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
    rowids = _query(path, "SELECT name, wr FROM pragma_table_list ORDER BY name")
    columns = {name: _query(path, f"PRAGMA table_info({name})") for name in names}
    return {"columns": columns, "views": views, "indexes": indexes, "rowids": rowids}


def _migrate(path: Path, change: Callable[..., None], version: str) -> None:
    database = SQLiteDatabase(f"sqlite:///{path}")
    with database.write_transaction() as connection:
        change(versions._config(connection), version)
    database.engine.dispose()


def test_a_fresh_file_is_what_the_migrations_lead_to(tmp_path: Path) -> None:
    SqlStore(f"sqlite:///{tmp_path}/created.db").close()
    _migrate(tmp_path / "migrated.db", command.upgrade, "head")
    assert _schema(tmp_path / "created.db") == _schema(tmp_path / "migrated.db")


def test_the_code_knows_every_migration(path: Path) -> None:
    database = SQLiteDatabase(f"sqlite:///{path}")
    with database.read_transaction() as connection:
        scripts = ScriptDirectory.from_config(versions._config(connection))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == versions.VERSIONS


def test_the_way_down_leaves_nothing_and_the_way_up_restores_the_tables(path: Path) -> None:
    SqlStore(f"sqlite:///{path}").close()
    before = _schema(path)
    versions.downgrade(SQLiteDatabase(f"sqlite:///{path}"), "base")
    assert _query(path, "SELECT name FROM sqlite_master") == []
    _migrate(path, command.upgrade, "head")
    assert _schema(path) == before


def test_opening_an_older_version_upgrades_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqlStore(f"sqlite:///{path}").close()
    upgraded = []
    monkeypatch.setattr(versions, "VERSIONS", (*versions.VERSIONS, "9999"))
    monkeypatch.setattr(versions, "HEAD", "9999")
    monkeypatch.setattr(command, "upgrade", lambda _, version: upgraded.append(version))
    SqlStore(f"sqlite:///{path}").close()
    assert upgraded == ["9999"]


def test_tables_of_a_newer_version_are_refused_and_left_alone(path: Path) -> None:
    store = SqlStore(f"sqlite:///{path}")
    store.write(make_workflow())
    store.close()
    _query(path, "UPDATE treerings_version SET version_num = '2099'")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer Treerings \(tables of version 2099, this one knows 0001\)"):
        SqlStore(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_an_unknown_version_to_go_back_to_lists_what_exists(path: Path) -> None:
    with pytest.raises(StoreError, match=r"No version '7' of the tables\. Choose from: base, 0001"):
        versions.downgrade(SQLiteDatabase(f"sqlite:///{path}"), "7")


def test_opening_does_without_alembic(path: Path) -> None:
    script = f"""
import sys
from treerings_sql.store import SqlStore
SqlStore("sqlite:///{path}").close()
SqlStore("sqlite:///{path}").close()
sys.exit("alembic" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_plugin_imports_no_database() -> None:
    script = """
import sys
import treerings_sql.plugin, treerings_jsonl.plugin
sys.exit(any(name in sys.modules for name in ("sqlalchemy", "sqlmodel", "alembic", "pydantic")))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class TestCommands:
    def _run(self, *arguments: str) -> str:
        result = CliRunner().invoke(store_command, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def test_version_prints_what_there_is_and_what_is_needed(self, path: Path) -> None:
        SqlStore(f"sqlite:///{path}").close()
        assert self._run("version", "--store", str(path)) == f"sqlite:///{path}: 0001 (needed: 0001)\n"

    def test_version_makes_no_file(self, path: Path) -> None:
        with pytest.raises(StoreError, match="does not exist"):
            self._run("version", "--store", str(path))
        assert not path.exists()

    def test_upgrade_and_downgrade_go_there_and_back(self, path: Path) -> None:
        self._run("upgrade", "--store", str(path))
        self._run("downgrade", "base", "--yes", "--store", str(path))
        assert self._run("version", "--store", str(path)) == f"sqlite:///{path}: no tables (needed: 0001)\n"

    def test_downgrade_asks_first(self, path: Path) -> None:
        SqlStore(f"sqlite:///{path}").close()
        result = CliRunner().invoke(store_command, ["downgrade", "base", "--store", str(path)], input="n\n")
        assert result.exit_code == 1
        assert len(_schema(path)["columns"]) == 6  # type: ignore[arg-type]  # a dictionary by table
