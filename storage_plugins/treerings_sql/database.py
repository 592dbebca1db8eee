"""What the store asks of an engine: connections, and the SQL in which engines differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, Table
from treerings.errors import StoreError

__all__ = ["Database", "Raced", "RefusedValue", "Stored", "open_database"]


class Raced(Exception):
    """Another process wrote the same in between: nothing was written, the same transaction may be tried again."""


class RefusedValue(StoreError):
    """The engine cannot hold a value of the batch; see `rows.cleaned`."""


class Stored(NamedTuple):
    """What is stored of the steps and workflows of a batch."""

    steps: Sequence[Sequence[Any]]
    """Values of `deltas.COUNTED_COLUMNS`."""
    workflows: dict[str, dict[str, Any]]
    """Rows of `workflow` by id."""
    revision: int
    """The rows of this transaction get the revisions after this one."""


class Database(Protocol):
    """An engine with the tables of this package in it."""

    @property
    def url(self) -> str: ...

    """Without a password."""

    @property
    def engine(self) -> Engine: ...

    @property
    def in_memory(self) -> bool: ...

    @property
    def read_only(self) -> bool: ...

    @property
    def exists(self) -> bool:
        """Whether there is anything to look at; opening may make it."""

    def write_transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that writes."""

    def read_transaction(self) -> AbstractContextManager[Connection]:
        """A transaction in which every statement sees the same state."""

    def read(self, connection: Connection, step_ids: Collection[str], workflow_ids: Collection[str]) -> Stored:
        """What is stored of these; it stays so until the transaction ends, whoever else writes."""

    def upsert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert or replace rows, no key twice; a payload that a row does not bring stays."""

    def write_workflows(
        self, connection: Connection, created: Sequence[tuple[Any, ...]], changed: Sequence[tuple[Any, ...]]
    ) -> None:
        """Write rows of workflows that `read` did not find, and of those that it did; raises `Raced`."""

    def settled_revision(self) -> ColumnElement[int]:
        """The last revision below which no transaction will write any more."""

    def time(self, nanoseconds: int) -> Any:
        """UTC nanoseconds as the engine takes them."""

    def day(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """`2026-01-31` of a time."""

    def hour(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """`2026-01-31T09` of a time."""

    def json_member(self, column: ColumnElement[Any], key: str) -> ColumnElement[str]:
        """The text under a key of a JSON object."""

    def has_label(self, column: ColumnElement[Any], key: str, value: str) -> ColumnElement[bool]:
        """Whether a JSON object has this text under this key."""

    def lock_tables(self, connection: Connection) -> None:
        """Let nobody else make or change the tables until the transaction ends."""

    def explained(self) -> AbstractContextManager[None]:
        """Every refusal of the engine becomes a `StoreError` that names the store and the reason."""

    def tidy(self) -> None:
        """What has to be done from time to time, after a write."""


def open_database(url: str, *, timeout: float = 10.0) -> Database:
    """The engine that a URL names; raises `StoreError`."""
    if url.startswith("postgres"):
        from .postgresql import PostgreSQLDatabase

        return PostgreSQLDatabase(url, timeout=timeout)
    from .sqlite import SQLiteDatabase

    return SQLiteDatabase(url, timeout=timeout)
