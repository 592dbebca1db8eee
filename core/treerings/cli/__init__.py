"""The command line: `treerings --help`."""

from __future__ import annotations

from .commands import Commands
from .demonstration import demo
from .following import tail
from .health import doctor
from .installed import plugins
from .places import where
from .reading import show, totals, workflows
from .running import run

__all__ = ["cli", "main"]

cli = Commands(
    "treerings",
    help="See what your agents did, what it cost, and why.",
    commands=[demo, run, workflows, show, totals, tail, plugins, where, doctor],
)


def main() -> None:
    """Run the command line on this process's arguments and exit."""
    cli(prog_name="treerings")
