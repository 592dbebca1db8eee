"""`treerings store version|upgrade|downgrade`: the tables of an SQL store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from treerings.errors import StoreError
from treerings.registry import full_url

if TYPE_CHECKING:
    from .database import Database

__all__ = ["store"]

_store_option = click.option(
    "--store", "url", metavar="URL", help="The store to work on; default: the one of the settings."
)


@click.group()
def store() -> None:
    """Look at the tables of an SQL store, and change their version."""


@store.command()
@_store_option
def version(url: str | None) -> None:
    """Print the version of the store's tables, and the one that this Treerings needs."""
    from .versions import HEAD, version_of

    database = _existing(url)
    with database.explained(), database.read_transaction() as connection:
        found = version_of(connection)
    click.echo(f"{database.url}: {found or 'no tables'} (needed: {HEAD})")


@store.command()
@_store_option
def upgrade(url: str | None) -> None:
    """Bring the store's tables up to date; opening the store does the same."""
    from .store import SqlStore
    from .versions import HEAD

    opened = SqlStore(_url(url))
    opened.close()
    click.echo(f"{opened.url}: {HEAD}")


@store.command()
@click.argument("to", metavar="VERSION")
@_store_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade(to: str, url: str | None, yes: bool) -> None:
    """Bring the store's tables back to VERSION, for an older Treerings; `base` deletes everything."""
    from .versions import downgrade as change

    database = _existing(url)
    if not yes:
        click.confirm(
            f"Change the tables of {database.url} to {to}? What that version has no place for is lost.", abort=True
        )
    with database.explained():
        change(database, to)
    click.echo(f"{database.url}: {to}")


def _url(url: str | None) -> str:
    if url is None:
        from treerings.settings import load_settings

        url = load_settings().store
    return full_url(url)


def _existing(url: str | None) -> Database:
    from .database import open_database

    found = open_database(_url(url))
    if not found.exists:
        raise StoreError(f"No store at {found.url}: it does not exist.")
    return found
