"""A workflow as a tree: one line a step, errors beneath, sums at every branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events import LEAF_KINDS, Status
from . import figures
from .outline import Branch, Outline, Sum, outlined
from .payloads import payload_lines
from .style import KINDS, SYMBOLS, status_style
from .table import Cell, Column, Lines, Part, Table
from .text import clean
from .timeline import bars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    from ..records import Workflow

__all__ = ["Tree"]

BESIDE_NAMES = 54
"""Columns of the terminal that guides leave to a name and the figures; steps deeper than that say their depth in digits."""


@dataclass(slots=True)
class Tree:
    """A workflow to print with rich: heading, steps, sums and what the marks mean."""

    workflow: Workflow
    every_step: bool = False
    depth: int | None = None
    payloads: bool = False
    now: datetime | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        shown = outlined(self.workflow, every_step=self.every_step, depth=self.depth)
        yield from Lines(_heading(self.workflow, self.now)).__rich_console__(console, options)
        if shown.branches:
            yield from self._table(shown, options.max_width).__rich_console__(console, options)
        yield from Lines(_footing(self.workflow, shown)).__rich_console__(console, options)

    def _table(self, shown: Outline, width: int) -> Table:
        names: list[Cell] = []
        below: dict[int, list[list[Part]]] = {}
        guides: list[str] = []
        deepest = min(24, max(3, (width - BESIDE_NAMES) // 3))
        for index, branch in enumerate(shown.branches):
            del guides[branch.depth :]
            names.append(_name(branch, guides, deepest))
            guides.append("" if branch.depth == 0 else "   " if branch.last else "│  ")
            inner = guides[1 : deepest + 1]
            beneath = "".join(inner) + ("│ " if branch.children and not branch.folded else "  ")
            lines = _error_lines(branch, beneath)
            if self.payloads:
                lines += payload_lines(branch.step, beneath, width)
            if lines:
                below[index] = lines
        table = Table(_columns(self.workflow, shown.branches, names, width), below)
        if "model" not in {column.title for column, _ in table.fit(width)}:
            _say_model(names, shown.branches)
        return table


def _say_model(names: list[Cell], branches: list[Branch]) -> None:
    """Put the model in the place of a model call's name, which says less, where it has no column."""
    for index, (cell, branch) in enumerate(zip(names, branches, strict=True)):
        if branch.step.model and branch.step.kind in LEAF_KINDS:
            parts = list(cell.parts)
            parts[cell.cut] = (clean(branch.step.model), "")
            names[index] = Cell(parts, cell.cut)


def _name(branch: Branch, guides: list[str], deepest: int) -> Cell:
    step = branch.step
    prefix = ""
    if branch.depth > deepest:
        prefix = "".join(guides[1:deepest]) + f"⋮ {branch.depth} "
    elif branch.depth:
        prefix = "".join(guides[1:]) + ("└─ " if branch.last else "├─ ")
    parts: list[Part] = [
        (prefix, "bright_black"),
        (SYMBOLS[step.status], status_style(step.status)),
        (f" {step.kind} ", KINDS[step.kind]),
        (clean(step.name) or "(no name)", "bold" if branch.depth == 0 else ""),
    ]
    if notes := _notes(branch):
        parts.append((f" {notes}", "bright_black"))
    return Cell(parts, cut=3)


def _notes(branch: Branch) -> str:
    step, notes = branch.step, []
    attributes = step.attributes
    if isinstance(attempt := attributes.get("attempt"), int) and attempt > 1:
        notes.append(f"attempt {attempt}")
    if isinstance(target := attributes.get("handoff_to"), str) and target not in step.name:
        notes.append(f"→ {clean(target)}")
    if step.usage is not None and step.usage.cache_hit:
        notes.append("cache hit")
    if attributes.get("handled"):
        notes.append("handled")
    if step.status not in (Status.OK, Status.ERROR):
        notes.append(str(step.status))
    if branch.folded:
        notes.append(f"+{branch.folded} {'step' if branch.folded == 1 else 'steps'} below")
    return ", ".join(notes)


def _error_lines(branch: Branch, beneath: str) -> list[list[Part]]:
    step = branch.step
    if (step.error is None and step.error_type is None) or branch.repeats_error:
        return []
    text = ": ".join(clean(part) for part in (step.error_type, step.error) if part)
    style = "red" if step.status is Status.ERROR else "yellow"
    return [[(beneath, "bright_black"), (text, style)]]


def _columns(workflow: Workflow, branches: list[Branch], names: list[Cell], width: int) -> list[Column]:
    sums = [branch.sum for branch in branches]
    tones = [
        "" if branch.step.kind in LEAF_KINDS else "bold" if branch.depth == 0 else "bright_black" for branch in branches
    ]
    costs = figures.align_costs([_cost(branch) for branch in branches])
    guides = max([cell.width_before_cut() for cell in names])
    least = min(max(42, guides + 18), width // 2)
    columns = [
        Column("step", names, least=least),
        Column("agent", _agents(branches), drop=5, least=10),
        Column("model", [Cell([(clean(b.step.model or ""), "cyan")]) for b in branches], drop=3, least=14),
        Column("when", bars(workflow, [branch.step for branch in branches]), drop=9),
        Column("time", [Cell([(figures.duration(b.step.duration_ms), "")]) for b in branches], right=True, drop=1),
        Column("first", _first_tokens(branches), right=True, drop=8),
        Column("in", _tokens(branches, [s.input_tokens for s in sums], tones), right=True, drop=2),
        Column("cached", _known(sums, tones), right=True, drop=7),
        Column("out", _tokens(branches, [s.output_tokens for s in sums], tones), right=True, drop=2),
        Column("cost", [Cell([(c, _cost_tone(c, t))]) for c, t in zip(costs, tones, strict=True)], right=True),
    ]
    return [column for column in columns if column.title == "step" or any(cell.width for cell in column.cells)]


def _agents(branches: list[Branch]) -> list[Cell]:
    """The agent, where it is another than on the line above."""
    cells, above = [], None
    for branch in branches:
        agent = branch.step.agent
        cells.append(Cell([(clean(agent) if agent and agent != above else "", "magenta")]))
        above = agent
    return cells


def _first_tokens(branches: list[Branch]) -> list[Cell]:
    return [Cell([(figures.duration(branch.step.first_token_ms), "bright_black")]) for branch in branches]


def _tokens(branches: list[Branch], numbers: list[int | None], tones: list[str]) -> list[Cell]:
    cells = []
    for branch, number, tone in zip(branches, numbers, tones, strict=True):
        text = (
            "" if number is None and not branch.sum.unpriced else figures.tokens(number, estimated=branch.sum.estimated)
        )
        cells.append(Cell([(text, "yellow" if text == figures.UNKNOWN else tone)]))
    return cells


def _known(sums: list[Sum], tones: list[str]) -> list[Cell]:
    """Cache reads, where there are any."""
    return [
        Cell([(figures.tokens(s.cache_read_tokens) if s.cache_read_tokens else "", tone)])
        for s, tone in zip(sums, tones, strict=True)
    ]


def _cost(branch: Branch) -> str:
    if branch.sum.cost_usd is None:
        return figures.UNKNOWN if branch.sum.unpriced else ""
    return figures.cost(branch.sum.cost_usd) + ("+" if branch.sum.unpriced else "")


def _cost_tone(text: str, tone: str) -> str:
    return "yellow" if text.strip() == figures.UNKNOWN else tone


def _heading(workflow: Workflow, now: datetime | None) -> list[list[Part]]:
    status = workflow.status
    facts = [str(status)]
    if workflow.duration_ms is not None:
        facts.append(figures.duration(workflow.duration_ms))
    facts.append(f"{figures.moment(workflow.started_at)} UTC")
    if now is not None:
        facts.append(figures.age(workflow.started_at, now))
    first: list[Part] = [
        (f"{SYMBOLS[status]} ", status_style(status)),
        (clean(workflow.name) or "(no name)", "bold"),
        ("  " + " · ".join(facts), "bright_black"),
    ]
    dimensions = [("session", workflow.session_id), ("user", workflow.user_id), ("tenant", workflow.tenant_id)]
    said = [f"{name} {clean(value)}" for name, value in dimensions if value]
    said += [f"{clean(key)}={clean(value)}" for key, value in workflow.labels.items()]
    second: list[Part] = [("  " + " · ".join([f"id {workflow.id}", *said]), "bright_black")]
    return [first, second, []]


def _footing(workflow: Workflow, shown: Outline) -> list[list[Part]]:
    totals = workflow.totals
    counts = [
        _plural(totals.steps, "step"),
        _plural(totals.llm_calls, "LLM call"),
        _plural(totals.tool_calls, "tool call"),
    ]
    if totals.failed_steps:
        counts.append(f"{totals.failed_steps} failed")
    notes = [" · ".join(counts), *legend(totals.unpriced_calls, totals.estimated_calls)]
    if shown.plumbing:
        notes.append(f"{_plural(shown.plumbing, 'plumbing step')} not shown: --all")
    return [[], *([(note, "bright_black")] for note in notes)]


def legend(unpriced: int, estimated: int) -> list[str]:
    """What the marks of cost and tokens mean, for those that are in use."""
    lines = []
    if unpriced:
        lines.append(f"? + the cost of {_plural(unpriced, 'call')} is unknown and in no sum")
    if estimated:
        lines.append(
            f"~   the tokens of {_plural(estimated, 'call')} are an estimate: the provider did not report them"
        )
    return lines


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
