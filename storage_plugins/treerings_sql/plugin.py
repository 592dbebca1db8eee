"""The stores and commands that this package contributes. Imports neither SQLAlchemy nor Alembic until one is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from treerings.hookspecs import hookimpl
from treerings.store import Store

if TYPE_CHECKING:
    import click
    from treerings.registry import StoreFactory

__all__ = ["open_postgresql", "open_sqlite"]


def open_sqlite(url: str) -> Store:
    """The store at `sqlite:///relative.db`, `sqlite:////absolute.db` or `sqlite://` (in memory)."""
    from .store import SqlStore

    return SqlStore(url)


def open_postgresql(url: str) -> Store:
    """The store at `postgresql://user:password@host:5432/database`."""
    from .store import SqlStore

    return SqlStore(url)


@hookimpl
def register_stores(register: Callable[[str, StoreFactory], None]) -> None:
    register("postgresql", open_postgresql)
    register("postgres", open_postgresql)
    register("sqlite", open_sqlite)


@hookimpl
def register_commands(cli: click.Group) -> None:
    from .commands import store

    cli.add_command(store)
