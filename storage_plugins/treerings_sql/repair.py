"""Steps that a dead process left running become incomplete."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, insert, select, update
from treerings.events import Status
from treerings.queries import microseconds

from .database import Database
from .liveness import Identity, is_alive, now
from .rows import step_of
from .tables import STEP, WRITER
from .writing import write

__all__ = ["beat", "dead_writers", "leave", "repair"]


def dead_writers(connection: Connection, own: Identity) -> list[str]:
    """The ids of writers that neither closed the store nor live."""
    rows = connection.execute(select(WRITER).where(WRITER.c.heartbeat_at.is_not(None), WRITER.c.id != own.id))
    return [
        row.id
        for row in rows
        if not is_alive(Identity(row.id, row.host, row.pid, row.started), microseconds(row.heartbeat_at) * 1000)
    ]


def beat(connection: Connection, own: Identity) -> None:
    """Refresh the heartbeat of a writer that has written before."""
    moment = datetime.fromtimestamp(now() / 1e9, UTC).replace(tzinfo=None)
    if not connection.execute(update(WRITER).where(WRITER.c.id == own.id).values(heartbeat_at=moment)).rowcount:
        values = {"id": own.id, "host": own.host, "pid": own.pid, "started": own.started}
        connection.execute(insert(WRITER).values(values | {"heartbeat_at": moment, "revision": 0}))


def repair(connection: Connection, database: Database, own: Identity) -> None:
    """Mark the running steps of dead writers `incomplete`, ends left open; inside a transaction with the write lock."""
    for writer_id in dead_writers(connection, own):
        running = connection.execute(select(STEP).where(STEP.c.writer_id == writer_id)).all()
        steps = [replace(step_of(row), status=Status.INCOMPLETE) for row in running]
        if steps:
            write(connection, database, own, steps)
        _retire(connection, writer_id)


def leave(connection: Connection, own: Identity) -> None:
    """Sign off, unless steps of this writer still run: they are for the next one to look at."""
    running = select(STEP.c.id).where(STEP.c.writer_id == own.id).limit(1)
    if connection.execute(running).first() is None:
        _retire(connection, own.id)


def _retire(connection: Connection, writer_id: str) -> None:
    """The row that holds the store's last revision stays, or the next revision would not be new."""
    connection.execute(update(WRITER).where(WRITER.c.id == writer_id).values(heartbeat_at=None))
    last = select(func.max(WRITER.c.revision)).scalar_subquery()
    connection.execute(delete(WRITER).where(WRITER.c.heartbeat_at.is_(None), WRITER.c.revision < last))
