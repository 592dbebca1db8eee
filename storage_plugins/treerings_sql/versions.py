"""Which version a database's tables have, and how it gets to another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select
from treerings.errors import StoreError

from .database import Database
from .tables import METADATA, PERFORMANCE_LOGS

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["HEAD", "VERSIONS", "downgrade", "ensure", "version_of"]

VERSIONS = ("0001",)
"""Every version of the tables, the oldest first; the names of the files in `migrations/versions` begin with them."""

HEAD = VERSIONS[-1]

_VERSION = Table(
    "treerings_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="treerings_version_pkc"),
)


def version_of(connection: Connection) -> str | None:
    """The version of the tables; None where there are none of ours."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def ensure(database: Database) -> None:
    """Create the tables or bring them up to date; raises `StoreError` for tables that are newer than this code."""
    with database.read_transaction() as connection:
        version = version_of(connection)
    if version == HEAD:
        return
    if database.read_only:
        found = "has no tables" if version is None else f"has tables of version {version}, this code needs {HEAD},"
        raise StoreError(f"{database.url} {found} and is read-only.")
    with database.write_transaction() as connection:
        database.lock_tables(connection)
        version = version_of(connection)  # another process may have been quicker
        if version is None:
            _create(connection, database)
        elif version not in VERSIONS:
            raise StoreError(
                f"{database.url} was written by a newer Treerings (tables of version {version}, this one knows {HEAD}). "
                "Nothing was changed. Type: pip install --upgrade treerings"
            )
        elif version != HEAD:
            from alembic import command

            command.upgrade(_config(connection), HEAD)


def downgrade(database: Database, version: str) -> None:
    """Bring the tables back to an older version; `base` removes them with all that they hold."""
    if version not in (*VERSIONS, "base"):
        raise StoreError(f"No version {version!r} of the tables. Choose from: base, {', '.join(VERSIONS)}.")
    from alembic import command

    with database.write_transaction() as connection:
        command.downgrade(_config(connection), version)
        if version == "base":
            _VERSION.drop(connection)


def _create(connection: Connection, database: Database) -> None:
    """Straight from the models, for Alembic takes its time; a test holds the result against the migrations'."""
    if taken := METADATA.tables.keys() & set(inspect(connection).get_table_names()):
        raise StoreError(f"{database.url} holds tables of another program ({', '.join(sorted(taken))}).")
    METADATA.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(PERFORMANCE_LOGS)
    _VERSION.create(connection)
    connection.execute(_VERSION.insert().values(version_num=HEAD))


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = _VERSION.name
    return config
