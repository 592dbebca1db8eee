"""When each step ran, as a bar on the workflow's time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Status
from .style import KINDS
from .table import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records import Step, Workflow

__all__ = ["bars"]

WIDTH = 24


def bars(workflow: Workflow, steps: Sequence[Step]) -> list[Cell]:
    """One bar a step; empty where times are unknown or too short to tell apart."""
    begin = workflow.started_ns
    end = max([begin, *[step.ended_ns for step in steps if step.ended_ns is not None]])
    if end - begin < 1_000_000:
        return [Cell([("", "")]) for _ in steps]
    return [_bar(step, begin, end) for step in steps]


def _bar(step: Step, begin: int, end: int) -> Cell:
    if step.ended_ns is None:
        return Cell([("", "")])
    start = min(WIDTH - 1, max(0, (step.started_ns - begin) * WIDTH // (end - begin)))
    stop = min(WIDTH, max(start + 1, -((begin - step.ended_ns) * WIDTH // (end - begin))))
    style = "red" if step.status is Status.ERROR else KINDS[step.kind].replace("bold ", "").replace("bold", "")
    return Cell([(" " * start, ""), ("━" * (stop - start), style), (" " * (WIDTH - stop), "")])
