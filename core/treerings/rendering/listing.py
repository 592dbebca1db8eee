"""Tables of workflows and of totals."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from . import figures
from .style import SYMBOLS, status_style
from .table import Cell, Column, Lines, Table
from .text import clean
from .tree import legend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    from ..records import Totals, Workflow

__all__ = ["TotalsTable", "WorkflowTable", "short_ids"]

SHORTEST_ID = 8


def short_ids(ids: Sequence[str]) -> list[str]:
    """The ids cut to the shortest length at which no two of them are alike."""
    ordered = sorted(set(ids))
    length = SHORTEST_ID
    for first, second in itertools.pairwise(ordered):
        common = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), len(first))
        length = max(length, common + 1)
    return [id[:length] for id in ids]


@dataclass(slots=True)
class WorkflowTable:
    """Workflows to print with rich, one a line."""

    workflows: Sequence[Workflow]
    now: datetime

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield from Table(self._columns()).__rich_console__(console, options)
        notes = legend(
            sum(workflow.totals.unpriced_calls for workflow in self.workflows),
            sum(workflow.totals.estimated_calls for workflow in self.workflows),
        )
        yield from Lines([[(note, "bright_black")] for note in notes]).__rich_console__(console, options)

    def _columns(self) -> list[Column]:
        flows = self.workflows
        totals = [flow.totals for flow in flows]
        names = [
            Cell([(f"{SYMBOLS[f.status]} ", status_style(f.status)), (clean(f.name) or "(no name)", "bold")], cut=1)
            for f in flows
        ]
        columns = [
            Column("id", [Cell([(id, "cyan")]) for id in short_ids([flow.id for flow in flows])]),
            Column("workflow", names, least=16),
            Column("status", [Cell([(str(f.status), status_style(f.status))]) for f in flows], drop=4),
            Column("started", [Cell([(figures.age(f.started_at, self.now), "")]) for f in flows], drop=1),
            Column("at (UTC)", [Cell([(figures.moment(f.started_at), "bright_black")]) for f in flows], drop=12),
            Column("session", [Cell([(clean(f.session_id or ""), "bright_black")]) for f in flows], drop=10, least=8),
            Column("user", [Cell([(clean(f.user_id or ""), "bright_black")]) for f in flows], drop=11, least=8),
            Column("source", [Cell([(clean(f.source), "bright_black")]) for f in flows], drop=13),
            Column("time", [Cell([(figures.duration(f.duration_ms), "")]) for f in flows], right=True, drop=2),
            _count("steps", [t.steps for t in totals], drop=5),
            _count("LLM", [t.llm_calls for t in totals], drop=8),
            _count("tools", [t.tool_calls for t in totals], drop=9),
            _count("failed", [t.failed_steps for t in totals], drop=7, style="red"),
            *_token_columns(totals, drop=3),
            _costs(totals),
        ]
        return [column for column in columns if any(cell.width for cell in column.cells)]


@dataclass(slots=True)
class TotalsTable:
    """Totals to print with rich, one group a line, and their sum where there are several."""

    by: Sequence[str]
    groups: Sequence[Totals]
    sum: Totals

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        with_sum = bool(self.by) and len(self.groups) > 1
        rows = [*self.groups, self.sum] if with_sum else list(self.groups)
        yield from Table(self._columns(rows, with_sum=with_sum), last_is_sum=with_sum).__rich_console__(
            console, options
        )
        notes = legend(self.sum.unpriced_calls, self.sum.estimated_calls)
        yield from Lines([[(note, "bright_black")] for note in notes]).__rich_console__(console, options)

    def _columns(self, rows: Sequence[Totals], *, with_sum: bool) -> list[Column]:
        columns = []
        for position, dimension in enumerate(self.by):
            cells = [_key(totals.key.get(dimension)) for totals in self.groups]
            if with_sum:
                cells.append(Cell([("total" if position == 0 else "", "bold")]))
            columns.append(Column(dimension, cells, least=12))
        columns += [
            _count("workflows", [t.workflows for t in rows], drop=6),
            _count("steps", [t.steps for t in rows], drop=8),
            _count("LLM", [t.llm_calls for t in rows], drop=4),
            _count("tools", [t.tool_calls for t in rows], drop=5),
            _count("failed", [t.failed_steps for t in rows], drop=7, style="red"),
            *_token_columns(rows, drop=1),
            _costs(rows),
        ]
        if with_sum:
            columns.append(Column("share", [_share(t, self.sum) for t in rows], right=True, drop=9))
        return columns


def _key(value: str | None) -> Cell:
    return Cell([(clean(value), "")]) if value else Cell([("(none)", "bright_black")])


def _count(title: str, numbers: Sequence[int], *, drop: int, style: str = "") -> Column:
    return Column(title, [Cell([(figures.count(n) if n else "", style)]) for n in numbers], right=True, drop=drop)


def _token_columns(rows: Sequence[Totals], *, drop: int) -> list[Column]:
    def cells(numbers: Sequence[int]) -> list[Cell]:
        return [
            Cell([(figures.tokens(n, estimated=t.estimated_calls > 0) if n or t.llm_calls else "", "")])
            for n, t in zip(numbers, rows, strict=True)
        ]

    cached = [Cell([(figures.count(t.cache_read_tokens) if t.cache_read_tokens else "", "")]) for t in rows]
    columns = [
        Column("in", cells([t.input_tokens for t in rows]), right=True, drop=drop),
        Column("cached", cached, right=True, drop=14),
        Column("out", cells([t.output_tokens for t in rows]), right=True, drop=drop),
    ]
    return [column for column in columns if column.title != "cached" or any(cell.width for cell in cached)]


def _costs(rows: Sequence[Totals]) -> Column:
    texts = figures.align_costs([figures.cost_of(totals) for totals in rows])
    return Column(
        "cost", [Cell([(t, "yellow" if t.strip() == figures.UNKNOWN else "bold")]) for t in texts], right=True
    )


def _share(totals: Totals, whole: Totals) -> Cell:
    if not whole.cost_usd or not totals.cost_usd:
        return Cell([("", "")])
    percent = totals.cost_usd * Decimal(100) / whole.cost_usd
    return Cell([(f"{percent:.0f}%" if percent >= 1 else "<1%", "bright_black")])
