"""The store: what `treerings.store.Store` promises, over an SQL database."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, delete, select
from treerings.errors import StoreError
from treerings.records import Step, Totals, Workflow
from treerings.store import Filter, check_dimensions

from . import forks, reading, repair, versions, writing
from .database import Raced, RefusedValue, open_database
from .liveness import Identity
from .rows import cleaned
from .tables import LABEL, PAYLOAD, STEP, WORKFLOW

__all__ = ["SqlStore"]

logger = logging.getLogger("treerings")

_WORKFLOWS_A_DELETION = 500
_ATTEMPTS = 10
"""How often a batch is tried that others write as well."""


class SqlStore:
    """Trees in SQLite (`sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` in memory) or in PostgreSQL
    (`postgresql://user:password@host/database`).

    A missing file is created, directories too; missing tables are made. Any number of processes and threads may write and
    read at once; who has to wait for longer than `timeout` seconds gets a `StoreError`. Satisfies `Store` and `Tailing`.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self.database = open_database(url, timeout=timeout)
        self.url = self.database.url
        self._closed = False
        self._wrote = False
        self._begin()
        with self._explained():
            versions.ensure(self.database)
        self._repair()
        forks.watch(self)

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        try:
            self._write(steps)
        except (UnicodeEncodeError, OverflowError, RefusedValue):
            self._write([cleaned(step) for step in steps])
        self._wrote = True
        self.database.tidy()

    def _write(self, steps: Sequence[Step]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._transaction() as connection:
                    writing.write(connection, self.database, self._identity, steps)
                return
            except Raced as error:
                if attempt == _ATTEMPTS:
                    raise StoreError(f"{self.url}: others write the same steps without a pause.") from error

    def heartbeat(self) -> None:
        """Say that this process still lives, where it may be silent for long; every write says so as well."""
        if self._wrote:
            with self._transaction() as connection:
                repair.beat(connection, self._identity)

    def delete(self, filter: Filter) -> int:
        with self._reading() as connection:
            ids = reading.matching_workflow_ids(connection, self.database, filter)
        gone = 0
        for start in range(0, len(ids), _WORKFLOWS_A_DELETION):
            some = ids[start : start + _WORKFLOWS_A_DELETION]
            with self._transaction() as connection:
                steps = select(STEP.c.id).where(STEP.c.workflow_id.in_(some))
                connection.execute(delete(PAYLOAD).where(PAYLOAD.c.step_id.in_(steps)))
                gone += connection.execute(delete(STEP).where(STEP.c.workflow_id.in_(some))).rowcount
                connection.execute(delete(LABEL).where(LABEL.c.workflow_id.in_(some)))
                connection.execute(delete(WORKFLOW).where(WORKFLOW.c.id.in_(some)))
        return gone

    def close(self) -> None:
        if self._closed:
            return
        try:
            if self._wrote:
                with self._transaction() as connection:
                    repair.leave(connection, self._identity)
        finally:
            self._closed = True
            self.database.engine.dispose()

    # -- reading -----------------------------------------------------------------------------------------------------

    def workflow(self, id: str) -> Workflow | None:
        with self._reading() as connection:
            return reading.tree(connection, id)

    def workflows(self, filter: Filter | None = None) -> list[Workflow]:
        with self._reading() as connection:
            return reading.workflows(connection, self.database, filter or Filter())

    def totals(self, by: Sequence[str] = (), filter: Filter | None = None) -> list[Totals]:
        by = check_dimensions(by)
        with self._reading() as connection:
            return reading.totals(connection, self.database, by, filter or Filter())

    def changes(self, cursor: int | None = None, *, limit: int = 1000) -> tuple[int, list[Step]]:
        with self._reading() as connection:
            return reading.changes(connection, self.database, cursor, limit)

    # -- connections -------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._identity = Identity.of_this_process()
        self._forking = False
        self._writing = threading.Lock()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._writing, self._explained(), self.database.write_transaction() as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._repair()
        # A database in memory has a single connection.
        alone = self._writing if self.database.in_memory else contextlib.nullcontext()
        with alone, self._explained(), self.database.read_transaction() as connection:
            yield connection

    def _explained(self) -> AbstractContextManager[None]:
        if self._closed:
            raise StoreError(f"{self.url} is closed.")
        return self.database.explained()

    def _repair(self) -> None:
        """Before anything is read: what a dead process left running is incomplete."""
        if self.database.in_memory or self.database.read_only:
            return
        with self._explained(), self.database.read_transaction() as connection:
            dead = repair.dead_writers(connection, self._identity)
        if not dead:
            return
        try:
            with self._transaction() as connection:
                repair.repair(connection, self.database, self._identity)
        except StoreError as error:
            logger.info("Steps of a process that has gone still show as running: %s", error)

    # -- forks -------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close idle connections: SQLite's would be harmed by a second process, even if that one only closed them."""
        self._forking = self._writing.acquire(timeout=2)
        if self._forking and not self.database.in_memory:
            self.database.engine.dispose()

    def after_fork_in_parent(self) -> None:
        """Go on; the next use connects anew."""
        if self._forking:
            self._writing.release()

    def after_fork_in_child(self) -> None:
        """Be a writer of its own, with connections of its own."""
        self._wrote = False
        self._begin()
        if not self.database.in_memory:
            forks.abandon(self.database.engine.pool)
            self.database.engine.dispose(close=False)
