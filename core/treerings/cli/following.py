"""`treerings tail`: steps as they are stored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .options import output_options, store_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..records import Step
    from ..store import Store

__all__ = ["tail"]

INTERVAL = 0.5
"""Seconds between two looks."""
REMEMBERED = 10_000
"""Steps of which the last printed state is kept, so that a step that is stored again unchanged is not printed again."""


@click.command(short_help="Print steps as they end.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    metavar="N",
    default=10,
    show_default=True,
    help="Begin with so many steps.",
)
@click.option("--all", "every_step", is_flag=True, help="Show plumbing steps, too.")
@click.option("--once", is_flag=True, help="Print what is there and stop.")
@store_option
@output_options
def tail(lines: int, every_step: bool, once: bool, store_url: str | None, as_json: bool, no_color: bool) -> None:
    """Print steps when they end, and workflows when they start, until Ctrl-C. With --json, one object a line."""
    from ..errors import StoreError
    from .output import console
    from .stores import nothing_recorded, opened, safe_url

    with opened(store_url) as store:
        if not hasattr(store, "changes"):
            raise StoreError(f"{safe_url(store.url)} cannot say what changed. Tail an SQLite or PostgreSQL store.")
        printer = Printer(console(no_color=no_color), as_json=as_json, every_step=every_step)
        cursor, _ = store.changes(None)
        newest = latest(store, lines, every_step=every_step)
        printer.print(newest)
        if once:
            if not newest:
                click.echo(nothing_recorded(store), err=True)
            return
        click.echo(f"Watching {safe_url(store.url)}. Ctrl-C stops.", err=True)
        try:
            for steps in follow(store, cursor):
                printer.print(steps)
        except KeyboardInterrupt:
            return


def follow(store: Any, cursor: Any) -> Iterator[list[Step]]:
    """The steps that are stored after `cursor`, batch by batch, for ever."""
    while True:
        cursor, steps = store.changes(cursor)
        if steps:
            yield steps
        else:
            time.sleep(INTERVAL)


def latest(store: Store, number: int, *, every_step: bool) -> list[Step]:
    """The steps that ended last, in the order of their ends."""
    from ..store import Filter

    found: list[Step] = []
    for workflow in store.workflows(Filter(limit=20)) if number else ():
        whole = store.workflow(workflow.id)
        steps = [] if whole is None else whole.steps
        found += [
            step for step in steps if step.ended_ns is not None and (every_step or not step.attributes.get("hidden"))
        ]
        if len(found) >= number:
            break
    found.sort(key=lambda step: (step.ended_ns or 0, -step.sequence))
    return found[-number:] if number else []


def is_plumbing(step: Step) -> bool:
    """Whether a step says little on a line of its own: marked as hidden, or a node or chain that went well."""
    if step.parent_id is None:
        return False
    return bool(step.attributes.get("hidden")) or (step.kind in ("node", "chain") and step.status == "ok")


class Printer:
    """Prints every state of a step that says something new."""

    def __init__(self, console: Any, *, as_json: bool, every_step: bool) -> None:
        self._console = console
        self._as_json = as_json
        self._every_step = every_step
        self._printed: dict[str, object] = {}

    def print(self, steps: list[Step]) -> None:
        """Print those of the steps that are worth a line."""
        from ..rendering.stream import StepLines
        from .data import step_data
        from .output import print_json_line

        worth = [step for step in steps if self._says_something_new(step)]
        if self._as_json:
            for step in worth:
                print_json_line(step_data(step))
        elif worth:
            self._console.print(StepLines(worth))

    def _says_something_new(self, step: Step) -> bool:
        if is_plumbing(step) and not self._every_step:
            return False
        if step.ended_ns is None and step.parent_id is not None:
            return False
        state = (step.status, step.usage, step.cost_usd, step.error)
        if self._printed.get(step.id) == state:
            return False
        self._printed.pop(step.id, None)
        self._printed[step.id] = state
        if len(self._printed) > REMEMBERED:
            del self._printed[next(iter(self._printed))]
        return True
