"""Steps one after the other, each on a line of its own, in columns that stay where they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from ..events import LEAF_KINDS
from . import figures
from .style import KINDS, SYMBOLS, status_style
from .table import Cell, Column, Part, Table, row, segments
from .text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    from ..records import Step

__all__ = ["StepLines"]


@dataclass(slots=True)
class StepLines:
    """Steps to print with rich; every batch has its columns in the same places."""

    steps: Sequence[Step]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        table = Table(
            [Column(title, [_blank(width)], right, drop, least) for title, width, right, drop, least in _LAYOUT]
        )
        widths = {column.title: (width, column.right) for column, width in table.fit(options.max_width)}
        return segments(self._lines(widths), options)

    def _lines(self, widths: dict[str, tuple[int, bool]]) -> Iterator[list[Part]]:
        for step in self.steps:
            cells = _cells(step, with_model="model" in widths)
            yield row([(cells[title], width, right) for title, (width, right) in widths.items()])
            if step.error is not None:
                text = ": ".join(clean(part) for part in (step.error_type, step.error) if part)
                yield [(" " * 12, ""), (text, "red")]


_LAYOUT = (
    ("at", 8, False, 0, None),
    ("step", 48, False, 0, 24),
    ("agent", 16, False, 4, 10),
    ("model", 20, False, 3, 14),
    ("workflow", 12, False, 5, None),
    ("time", 7, True, 1, None),
    ("in", 8, True, 2, None),
    ("out", 7, True, 2, None),
    ("cost", 10, True, 0, None),
)
"""Title, width, whether right-aligned, how early it drops, how far it may shrink."""


def _blank(width: int) -> Cell:
    return Cell([("x" * width, "")])


def _cells(step: Step, *, with_model: bool) -> dict[str, Cell]:
    usage, call = step.usage, step.kind in LEAF_KINDS and step.ended_ns is not None
    moment = step.ended_at or step.started_at
    shown = step.name if with_model or step.kind not in LEAF_KINDS else step.model or step.name
    name: list[Part] = [
        (SYMBOLS[step.status], status_style(step.status)),
        (f" {step.kind} ", KINDS[step.kind]),
        (clean(shown) or "(no name)", "bold" if step.parent_id is None else ""),
    ]
    cost = figures.cost(step.cost_usd) if step.cost_usd is not None or step.unpriced else ""
    counts = [usage.input_tokens if usage else None, usage.output_tokens if usage else None]
    tokens = [figures.tokens(n, estimated=step.estimated) if call and (usage or step.unpriced) else "" for n in counts]
    return {
        "at": Cell([(f"{moment.astimezone(UTC):%H:%M:%S}", "bright_black")]),
        "step": Cell(name, cut=2),
        "agent": Cell([(clean(step.agent or ""), "magenta")]),
        "model": Cell([(clean(step.model or ""), "cyan")]),
        "workflow": Cell([(step.workflow_id[:12], "bright_black")]),
        "time": Cell([(figures.duration(step.duration_ms), "")]),
        "in": Cell([(tokens[0], "")]),
        "out": Cell([(tokens[1], "")]),
        "cost": Cell([(cost, "yellow" if cost == figures.UNKNOWN else "")]),
    }
