"""PostgreSQL: connections, transactions, what its errors mean, and the SQL that only it speaks.

See docs/decisions/0014-postgresql.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, exc
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import ColumnElement
from treerings.errors import MissingPackage, StoreError

from .database import Raced, RefusedValue, Stored
from .deltas import COUNTED_COLUMNS
from .rows import WORKFLOW_COLUMNS
from .tables import PAYLOAD, WORKFLOW

try:
    import psycopg
except ImportError as error:
    raise MissingPackage(
        "PostgreSQL needs psycopg, which is not installed. Type: pip install 'treerings[postgres]'"
    ) from error

__all__ = ["PostgreSQLDatabase"]

_ROWS_A_TRANSACTION = 1 << 20
"""Revisions that each transaction has for itself."""
_RACES = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
_TABLES = "treerings_tables"


class PostgreSQLDatabase:
    """A database of a PostgreSQL server, version 13 or later; connections are pooled and renewed when they have died.

    A batch is copied into a temporary table and taken over by one statement: no statement a row, and little work for the
    process that writes.
    """

    in_memory = False
    read_only = False
    exists = True

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        try:
            parsed = sqlalchemy.make_url(url)
        except exc.ArgumentError:
            raise StoreError(
                f"{url.partition(':')[0]}: this is no URL. Type postgresql://user:password@host:5432/database."
            ) from None
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise StoreError(f"{parsed.drivername!r} is no scheme of PostgreSQL. Type postgresql://…")
        query = dict(parsed.query)
        options = query.pop("options", "")
        self.url = parsed.set(drivername="postgresql").render_as_string(hide_password=True)
        parsed = parsed.set(drivername="postgresql+psycopg", query=query)
        self.timeout = timeout
        self.engine = sqlalchemy.create_engine(
            parsed,
            pool_size=4,
            max_overflow=8,
            pool_timeout=timeout,
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={
                "connect_timeout": max(2, int(timeout)),
                "application_name": "treerings",
                "options": f"-c timezone=UTC -c lock_timeout={int(timeout * 1000)} {options}",
            },
        )
        self._reading: Engine = self.engine.execution_options(isolation_level="REPEATABLE READ")

    # -- transactions ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def write_transaction(self) -> Iterator[Connection]:
        """A transaction that writes; raises `Raced` where it met another one."""
        try:
            with self.engine.begin() as connection:
                raw = connection.connection
                try:
                    yield connection
                except BaseException:
                    raw.info.pop(_TABLES, None)  # what this transaction created goes with it
                    raise
        except exc.DBAPIError as error:
            if isinstance(error.orig, _RACES):
                raise Raced from error
            raise
        except _RACES as error:
            raise Raced from error

    def read_transaction(self) -> AbstractContextManager[Connection]:
        return self._reading.begin()

    def lock_tables(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})")

    def tidy(self) -> None:
        """The server does it."""

    # -- a batch -----------------------------------------------------------------------------------------------------

    def read(self, connection: Connection, step_ids: Collection[str], workflow_ids: Collection[str]) -> Stored:
        """The rows of the workflows are locked first: whoever writes their steps changes them too, so what is read then
        is the latest, and stays so. A transaction's revisions begin with its number, see `settled_revision`.
        """
        query = f"SELECT {_WORKFLOW_VALUES} FROM workflow WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
        locked = connection.exec_driver_sql(query, (list(workflow_ids),)).all()
        workflows = {row[0]: dict(zip(WORKFLOW_COLUMNS, row, strict=True)) for row in locked}
        query = f"SELECT {', '.join(COUNTED_COLUMNS)} FROM step WHERE id = ANY(%s)"
        steps: Sequence[Any] = connection.exec_driver_sql(query, (list(step_ids),)).all() if step_ids else ()
        number = connection.exec_driver_sql("SELECT pg_current_xact_id()::text::bigint").scalar_one()
        return Stored(steps, workflows, number * _ROWS_A_TRANSACTION)

    def upsert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._copy(connection, table, rows)
            connection.exec_driver_sql(_taken_over(table))

    def write_workflows(
        self, connection: Connection, created: Sequence[tuple[Any, ...]], changed: Sequence[tuple[Any, ...]]
    ) -> None:
        self.upsert(connection, WORKFLOW, changed)
        if created:
            if changed:
                connection.exec_driver_sql("TRUNCATE treerings_new_workflow")
            self._copy(connection, WORKFLOW, created)
            if connection.exec_driver_sql(_taken_over(WORKFLOW, new=True)).rowcount < len(created):
                raise Raced

    def _copy(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        raw: Any = connection.connection
        if (known := raw.info.get(_TABLES)) is None:
            known = raw.info[_TABLES] = set()
        with raw.cursor() as cursor:
            if table.name not in known:
                cursor.execute(
                    f"CREATE TEMPORARY TABLE IF NOT EXISTS treerings_new_{table.name} (LIKE {table.name}) ON COMMIT DELETE ROWS"
                )
                known.add(table.name)
            names = ", ".join(f'"{name}"' for name in list(table.columns.keys()))
            with cursor.copy(f"COPY treerings_new_{table.name} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

    def settled_revision(self) -> ColumnElement[int]:
        """Transactions end in another order than they began in: all below the oldest that still runs are over."""
        oldest = f"(pg_snapshot_xmin(pg_current_snapshot())::text::bigint * {_ROWS_A_TRANSACTION} - 1)"
        return sqlalchemy.literal_column(oldest, sqlalchemy.BigInteger)

    # -- SQL ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def time(nanoseconds: int) -> datetime:
        try:
            return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
        except OverflowError:
            return datetime.max if nanoseconds > 0 else datetime.min

    @staticmethod
    def day(column: ColumnElement[Any]) -> ColumnElement[str]:
        return sqlalchemy.func.to_char(column, "YYYY-MM-DD", type_=sqlalchemy.Text)

    @staticmethod
    def hour(column: ColumnElement[Any]) -> ColumnElement[str]:
        return sqlalchemy.func.to_char(column, 'YYYY-MM-DD"T"HH24', type_=sqlalchemy.Text)

    @staticmethod
    def has_label(column: ColumnElement[Any], key: str, value: str) -> ColumnElement[bool]:
        return column.op("@>", return_type=sqlalchemy.Boolean())(sqlalchemy.literal({key: value}, JSONB))

    @staticmethod
    def json_member(column: ColumnElement[Any], key: str) -> ColumnElement[str]:
        return column.op("->>", return_type=sqlalchemy.Text())(sqlalchemy.literal(key, sqlalchemy.Text))

    # -- errors ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise self._explained(error.orig or error) from error
        except (exc.SQLAlchemyError, psycopg.Error) as error:
            raise self._explained(error) from error

    def _explained(self, error: BaseException) -> StoreError:
        if isinstance(error, psycopg.DataError):
            return RefusedValue(f"{self.url}: {_line(error)}.")
        said = str(error)
        reason = next((text for mark, text in _REFUSED_CONNECTIONS.items() if mark in said), None)
        if reason is None or not isinstance(error, psycopg.OperationalError):
            reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), "{error}")
        return StoreError(f"{self.url}: {reason.format(error=_line(error), timeout=self.timeout)}.")


_REFUSED_CONNECTIONS = {
    "password authentication failed": "the server refused the user or the password",
    "no password supplied": "the server wants a password; put it into the URL or PGPASSWORD",
    '" does not exist': "the database or the user does not exist; type createdb, or correct the URL ({error})",
    "too many clients": "the server has no connection left; raise its max_connections",
}
"""By what the server says before there is a connection: such an error has no class of its own."""
_REASONS: dict[type[BaseException], str] = {
    psycopg.errors.InsufficientPrivilege: "the user may not do this ({error})",
    psycopg.errors.ReadOnlySqlTransaction: "the server is read-only, probably a replica ({error})",
    psycopg.errors.DiskFull: "the server's disk is full ({error})",
    psycopg.errors.LockNotAvailable: "it was locked by others for more than {timeout:g} s",
    psycopg.OperationalError: "the server cannot be reached, or ended the connection ({error})",
    exc.TimeoutError: "no connection became free in {timeout:g} s",
}
"""By class, the more special ones first."""
_EPOCH = datetime(1970, 1, 1)
_TABLES_LOCK = 8_243_110_871
"""Any number that nobody else uses: who makes or changes the tables holds it."""
_WORKFLOW_VALUES = ", ".join("labels::text" if name == "labels" else name for name in WORKFLOW_COLUMNS)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]


@lru_cache
def _taken_over(table: Table, *, new: bool = False) -> str:
    """The statement that moves what was copied into the table, in the order of the keys: writers wait, not deadlock."""
    names = table.columns.keys()
    keys = [column.name for column in table.primary_key]
    others = [name for name in names if name not in keys]
    if new or not others:
        conflict = "NOTHING"
    else:
        if table is PAYLOAD:
            changes = ", ".join(f'"{name}" = coalesce(excluded."{name}", payload."{name}")' for name in others)
        else:
            changes = ", ".join(f'"{name}" = excluded."{name}"' for name in others)
        conflict = f"UPDATE SET {changes}"
    columns, key = (", ".join(f'"{name}"' for name in some) for some in (names, keys))
    return (
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM treerings_new_{table.name} ORDER BY {key} "
        f"ON CONFLICT ({key}) DO {conflict}"
    )
