"""`treerings doctor`: does everything work here, and what is captured?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import output_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .checks import Check

__all__ = ["doctor"]


@click.command(short_help="Check that everything works here.")
@click.option("--store", "store_url", metavar="URL", help="The store to try; default: the one of the settings.")
@output_options
def doctor(store_url: str | None, as_json: bool, no_color: bool) -> None:
    """Check the installation, and run a small scripted agent in every installed framework to see what is captured.

    Nothing leaves the machine. Exits with 1 when something does not work.
    """
    from .checks import installation_checks, store_check
    from .output import console, grid, print_json
    from .probes import framework_checks

    checks = [*installation_checks(), store_check(store_url), *framework_checks()]
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


def _data(check: Check) -> dict[str, Any]:
    return {"name": check.name, "state": check.state, "detail": check.detail, "hint": check.hint}


def _rows(checks: list[Check]) -> Iterator[list[tuple[str, str]]]:
    symbols = {"ok": ("✓", "green"), "failed": ("✗", "bold red"), "note": ("–", "yellow")}
    for check in checks:
        symbol, style = symbols[check.state]
        yield [(symbol, style), (check.name, "bold"), (check.detail, "red" if check.failed else "")]
        if check.hint:
            yield [("", ""), ("", ""), (f"→ {check.hint}", "yellow")]
