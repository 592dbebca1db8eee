"""`treerings doctor`: does everything work here, and what is captured?"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from .options import output_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .checks import Check

__all__ = ["doctor"]


@click.command(short_help="Check that everything works here.")
@click.option("--store", "store_url", metavar="URL", help="The store to try; default: the one of the settings.")
@click.option("--only", metavar="NAMES", help="Try these frameworks and nothing else, with commas between.")
@output_options
def doctor(store_url: str | None, only: str | None, as_json: bool, no_color: bool) -> None:
    """Check the installation, and run a small scripted agent in every installed framework to see what is captured.

    Each runs in a process of its own, on a model server in that process: nothing leaves the machine. Exits with 1 when
    something does not work; a framework named with --only that is not installed does not.
    """
    from .checks import installation_checks, store_check
    from .output import console, grid, print_json
    from .probes import framework_checks

    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    checks = [] if names else [*installation_checks(), store_check(store_url)]
    with _progress() as progress:
        checks += framework_checks(names, progress=progress)
    failed = [check for check in checks if check.failed]
    if as_json:
        print_json({"ok": not failed, "checks": [_data(check) for check in checks]})
    else:
        out = console(no_color=no_color)
        out.print(grid(["", "check", "finding"], _rows(checks), whole=2))
        verdict = f"{len(failed)} of {len(checks)} checks failed." if failed else "Everything works."
        out.print(f"\n{verdict}", style="bold red" if failed else "bold green")
    if failed:
        raise click.exceptions.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[str], None] | None]:
    """Shows a line on the terminal while the probes run; nothing when standard error is none."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False, markup=False).status("looking") as status:
        yield status.update


def _data(check: Check) -> dict[str, Any]:
    return {"name": check.name, "state": check.state, "detail": check.detail, "hint": check.hint}


def _rows(checks: list[Check]) -> Iterator[list[tuple[str, str]]]:
    symbols = {"ok": ("✓", "green"), "failed": ("✗", "bold red"), "note": ("–", "yellow")}
    for check in checks:
        symbol, style = symbols[check.state]
        yield [(symbol, style), (check.name, "bold"), (check.detail, "red" if check.failed else "")]
        if check.hint:
            yield [("", ""), ("", ""), (f"→ {check.hint}", "yellow")]
