"""The command line: `treerings --help`."""

from __future__ import annotations

from .commands import Commands
from .demo import demo
from .doctor import doctor
from .plugins import plugins
from .reading import show, totals, workflows
from .run import run
from .tail import tail
from .where import where

__all__ = ["cli", "main"]

cli = Commands(
    "treerings",
    help="See what your agents did, what it cost, and why.",
    commands=[demo, run, workflows, show, totals, tail, plugins, where, doctor],
)


def main() -> None:
    """Run the command line on this process's arguments and exit."""
    cli(prog_name="treerings")
