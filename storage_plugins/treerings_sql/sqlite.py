"""SQLite: connections, transactions, time text, what its errors mean, and the SQL that only it speaks."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, event, exc
from sqlalchemy.pool import NullPool, QueuePool, StaticPool
from sqlalchemy.sql.elements import ColumnElement
from treerings.errors import StoreError

from . import sqlite_statements as statements
from .database import Stored
from .tables import STEP, WORKFLOW

__all__ = ["SQLiteDatabase"]

logger = logging.getLogger("treerings")

_PAGE_BYTES = 8192
_CACHE_KIB = 32 * 1024
_WAL_PAGES = 4096
"""The pages of the write-ahead log after which a commit writes them back; pages that change often are written once."""
_WAL_BYTES = 64 * 1024 * 1024
"""The size of the write-ahead log at which it is written back and cut."""
_WRITES = "treerings_writes"

_REASONS = {
    "SQLITE_BUSY": "it was locked by another process for more than {timeout:g} s",
    "SQLITE_CANTOPEN": "it cannot be opened; check that the directory exists and may be written",
    "SQLITE_CORRUPT": "the file is damaged ({error}); `sqlite3 FILE .recover` saves what is left",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk failed ({error})",
    "SQLITE_LOCKED": "it was locked for more than {timeout:g} s",
    "SQLITE_NOTADB": "the file is not an SQLite database",
    "SQLITE_READONLY": "the file or its directory is read-only",
}


class SQLiteDatabase:
    """One SQLite file, or a database in memory where `path` is None."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self.path = _path(url)
        self.url = "sqlite://" if self.path is None else f"sqlite:///{self.path}"
        self.timeout = timeout
        self.max_variables = 999  # what every SQLite takes; a connection says what it is
        self.read_only = self.path is not None and _is_read_only(self.path)
        self.engine = self._engine()
        self._writing = self.engine.execution_options(**{_WRITES: True})

    @property
    def in_memory(self) -> bool:
        return self.path is None

    @property
    def exists(self) -> bool:
        return self.path is None or self.path.exists()

    # -- connections and transactions --------------------------------------------------------------------------------

    def _engine(self) -> Engine:
        options: dict[str, Any] = {"poolclass": QueuePool, "pool_use_lifo": True, "pool_timeout": self.timeout}
        if self.in_memory:
            options = {"poolclass": StaticPool}
        elif self.read_only:
            options = {"poolclass": NullPool}  # each look decides anew whether somebody writes
        engine = sqlalchemy.create_engine("sqlite+pysqlite://", creator=self._connect, **options)
        event.listen(engine, "begin", _begin)
        return engine

    def _connect(self) -> sqlite3.Connection:
        if self.path is not None and not self.read_only:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"Cannot create the directory of {self.url}: {error.strerror}.") from error
        connection = sqlite3.connect(
            ":memory:" if self.path is None else self._file_uri(self.path),
            uri=self.path is not None,
            timeout=self.timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _file_uri(self, path: Path) -> str:
        uri = path.as_uri()
        if not self.read_only:
            return uri
        # A database in WAL mode needs its -shm file. Where it cannot be made, nobody writes, so nothing changes.
        idle = not Path(f"{path}-wal").exists()
        return f"{uri}?mode=ro" + ("&immutable=1" if idle else "")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self.max_variables = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if self.read_only or self.in_memory:
            return
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._lay_out(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")

    def _lay_out(self, connection: sqlite3.Connection) -> None:
        """Decide on pages and journal, which the file keeps; a file that holds anything stays as it is."""
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        give_up = time.monotonic() + self.timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # Two processes that create the file together: SQLite does not wait on this lock by itself.
                if not _name(error).startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                    raise
                time.sleep(0.005)

    def write_transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that has the write lock from its beginning; others wait for it, `timeout` at most."""
        return self._writing.begin()

    def read_transaction(self) -> AbstractContextManager[Connection]:
        """A transaction in which every statement sees the same state."""
        return self.engine.begin()

    def lock_tables(self, connection: Connection) -> None:
        """Who writes holds everything."""

    def tidy(self) -> None:
        """Write the log back into the database and cut it, if it has grown large and no reader is in the way."""
        if self.path is None:
            return
        try:
            if os.stat(f"{self.path}-wal").st_size < _WAL_BYTES:
                return
        except OSError:
            return
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.execute("PRAGMA busy_timeout = 50")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (sqlite3.Error, StoreError) as error:
            logger.debug("%s: the log was not cut: %s", self.url, error)

    # -- SQL ---------------------------------------------------------------------------------------------------------

    def read(self, connection: Connection, step_ids: Collection[str], workflow_ids: Collection[str]) -> Stored:
        return statements.read(connection, self.max_variables, step_ids, workflow_ids)

    def upsert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        statements.upsert(connection, self.max_variables, table, rows)

    def write_workflows(
        self, connection: Connection, created: Sequence[tuple[Any, ...]], changed: Sequence[tuple[Any, ...]]
    ) -> None:
        statements.upsert(connection, self.max_variables, WORKFLOW, [*created, *changed])

    @staticmethod
    def settled_revision() -> ColumnElement[int]:
        return sqlalchemy.select(sqlalchemy.func.coalesce(sqlalchemy.func.max(STEP.c.revision), 0)).scalar_subquery()

    @staticmethod
    def day(column: ColumnElement[Any]) -> ColumnElement[str]:
        return sqlalchemy.func.substr(column, 1, 10, type_=sqlalchemy.Text)

    @staticmethod
    def hour(column: ColumnElement[Any]) -> ColumnElement[str]:
        return sqlalchemy.func.replace(sqlalchemy.func.substr(column, 1, 13), " ", "T", type_=sqlalchemy.Text)

    @staticmethod
    def json_member(column: ColumnElement[Any], key: str) -> ColumnElement[str]:
        """The value under a key of a JSON object; a path would trip over quotes in the key."""
        members = sqlalchemy.func.json_each(column).table_valued("key", "value")
        return sqlalchemy.select(members.c.value).where(members.c.key == key).scalar_subquery()

    @classmethod
    def has_label(cls, column: ColumnElement[Any], key: str, value: str) -> ColumnElement[bool]:
        return cls.json_member(column, key) == value

    @staticmethod
    def time(nanoseconds: int) -> str:
        """The text that SQLite's date functions and SQLAlchemy's DateTime both read."""
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        return f"{_second(seconds)}.{rest // 1000:06d}"

    # -- errors ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Every refusal of the engine becomes a `StoreError` that names the file and the reason."""
        try:
            yield
        except exc.DBAPIError as error:
            raise StoreError(f"{self.url}: {self._reason(error.orig or error)}.") from error
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            raise StoreError(f"{self.url}: {self._reason(error)}.") from error

    def _reason(self, error: BaseException) -> str:
        name = _name(error)
        for prefix, reason in _REASONS.items():
            if name.startswith(prefix):
                return reason.format(error=error, timeout=self.timeout)
        return str(error)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _name(error: BaseException) -> str:
    return getattr(error, "sqlite_errorname", None) or ""


_EPOCH = datetime(1970, 1, 1)


@functools.lru_cache(4096)
def _second(seconds: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat(" ")
    except OverflowError:
        return (datetime.max if seconds > 0 else datetime.min).isoformat(" ", "seconds")


def _path(url: str) -> Path | None:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme != "sqlite":
        raise StoreError(f"{url!r} is no SQLite URL. Type sqlite:///relative.db, sqlite:////absolute.db or sqlite://.")
    if "?" in rest:
        raise StoreError(
            f"{url!r}: an SQLite URL takes no options. Type sqlite:///{rest.partition('?')[0].lstrip('/')}."
        )
    if rest in ("", "/", "/:memory:"):
        return None
    if not rest.startswith("/"):
        raise StoreError(f"{url!r}: after sqlite: come three slashes and a path. Type sqlite:///{rest}.")
    path = Path(rest[1:]).expanduser().absolute()
    if path.is_dir():
        raise StoreError(
            f"{url!r} is a directory. Type the name of a file in it, such as sqlite:///{path}/treerings.db."
        )
    return path


def _is_read_only(path: Path) -> bool:
    def writable(place: Path) -> bool:
        return os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids)

    return path.exists() and not (writable(path) and writable(path.parent))
