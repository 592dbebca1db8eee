"""The line that `treerings run` prints when the program has ended."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING

from .. import instrumentation, runtime
from ..hookspecs import hookimpl
from ..records import Totals, Workflow
from ..rendering import figures

if TYPE_CHECKING:
    from ..instrumentation import Instrumented

__all__ = ["Summary"]


class Summary:
    """Counts what is recorded from now on in this process; forked children do not print."""

    def __init__(self, instrumented: Instrumented, store_url: str | None) -> None:
        self._instrumented = instrumented
        self._hint = "treerings show last" + (f" --store {store_url}" if store_url else "")
        self._sum = Totals()
        self._pid = os.getpid()

    @hookimpl
    def workflow_finished(self, workflow: Workflow) -> None:
        """Told of every workflow, also of those that are closed at the end."""
        self._sum.merge(workflow.totals)

    def print_at_exit(self) -> None:
        """Print when threads and the program's own exit functions are through."""
        runtime.register(self, "run-summary")
        atexit.register(self._print)

    def _print(self) -> None:
        if os.getpid() != self._pid:
            return
        report = runtime.current_recorder().close(runtime.settings().exit_timeout)
        print(f"treerings: {self._text()}", file=sys.stderr)
        if report.pending or report.dropped:
            print(f"treerings: {report}", file=sys.stderr)

    def _text(self) -> str:
        found = self._sum
        if not found.workflows:
            enabled = self._instrumented.enabled
            frameworks = ", ".join(name for name in enabled if name not in instrumentation.waiting())
            if frameworks:
                watched = f"looked for runs of {frameworks}"
            elif enabled:
                watched = "no framework that can be captured was imported"
            else:
                watched = "no framework that can be captured is installed"
            return f"nothing was recorded ({watched}) - treerings doctor"
        counts = f"{_plural(found.workflows, 'workflow')}, {_plural(found.steps, 'step')}"
        return f"{counts}, {figures.cost_of(found).replace(figures.NOTHING, '$0')} - {self._hint}"


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
