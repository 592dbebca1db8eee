"""What the commands print: plain data as JSON, everything else through one console."""

from __future__ import annotations

import io
import os
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
import orjson

from ..plain import dump_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.table import Table

__all__ = ["console", "grid", "print_json", "print_json_line"]

PIPED_WIDTH = 160
"""Columns when the output is no terminal and COLUMNS does not say."""


def console(*, no_color: bool = False) -> Console:
    """A console on standard output; plain when that is no terminal, or when colours are not wanted."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    plain = no_color or bool(os.environ.get("NO_COLOR"))
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else PIPED_WIDTH
    return Console(color_system=None if plain else "auto", width=width, highlight=False, markup=False, emoji=False)


def grid(titles: Sequence[str], rows: Iterable[Sequence[tuple[str, str]]], *, whole: int = 1) -> Table:
    """A table of texts with their styles; what is too long goes on in the next line, except in the first `whole` columns."""
    from rich.table import Table
    from rich.text import Text

    from ..rendering import clean

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=any(titles), header_style="dim", pad_edge=False)
    for position, title in enumerate(titles):
        table.add_column(title, overflow="fold", no_wrap=position < whole)
    for row in rows:
        table.add_row(*(Text(clean(text), style) for text, style in row))
    return table


def print_json(data: object) -> None:
    """Print plain data as indented JSON; a `Decimal` is a number with all its digits."""
    click.echo(orjson.dumps(_plain(data), option=orjson.OPT_INDENT_2))


def print_json_line(data: object) -> None:
    """Print plain data as JSON on one line."""
    click.echo(orjson.dumps(_plain(data)))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return orjson.Fragment(dump_json(value))
