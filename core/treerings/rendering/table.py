"""Columns that fit the width: some drop, some are cut, numbers stay aligned at the right."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from .style import ASCII
from .text import cut_end, cut_middle, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions

__all__ = ["Cell", "Column", "Lines", "Part", "Table", "row", "segments"]

Part = tuple[str, str]
"""A text and its style."""

GAP = 2
_parse = cache(Style.parse)


@dataclass(slots=True)
class Cell:
    """Parts that stand in a row; when there is no room, the part at `cut` gives way first, then what is at the end."""

    parts: list[Part]
    cut: int = 0
    width: int = field(init=False)

    def __post_init__(self) -> None:
        self.width = sum([width_of(text) for text, _ in self.parts])

    def width_before_cut(self) -> int:
        """The columns of what is never cut."""
        return sum([width_of(text) for text, _ in self.parts[: self.cut]])

    def fitted(self, width: int) -> Cell:
        """The cell, cut to at most `width` columns."""
        excess = self.width - width
        if excess <= 0:
            return self
        parts = list(self.parts)
        text, style = parts[self.cut]
        before = width_of(text)
        parts[self.cut] = (cut_middle(text, max(min(before, 6), before - excess)), style)
        return Cell(crop(parts, width))


@dataclass(slots=True)
class Column:
    """A column: `drop` says how early it goes when there is no room (0 never), `least` how far it may be cut."""

    title: str
    cells: Sequence[Cell]
    right: bool = False
    drop: int = 0
    least: int | None = None
    natural: int = field(init=False)

    def __post_init__(self) -> None:
        self.natural = max([width_of(self.title), *[cell.width for cell in self.cells]])

    @property
    def smallest(self) -> int:
        return self.natural if self.least is None else min(self.natural, max(self.least, width_of(self.title)))


def crop(parts: Sequence[Part], width: int) -> list[Part]:
    """The parts up to `width` columns, an ellipsis at the end when something is missing."""
    kept: list[Part] = []
    for position, (text, style) in enumerate(parts):
        rest = any(following for following, _ in parts[position + 1 :])
        size = width_of(text)
        if size > width or (size == width and rest):
            kept.append((cut_end(text + "…" * rest, width), style))
            break
        kept.append((text, style))
        width -= size
    return kept


@dataclass(slots=True)
class Lines:
    """Lines of parts, printed unwrapped and never wider than the console."""

    lines: list[list[Part]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        return segments(self.lines, options)


def segments(lines: Iterable[list[Part]], options: ConsoleOptions) -> Iterator[Segment]:
    """The segments of these lines, cropped to the console's width and in characters that it can show."""
    ascii_only, width, end = options.ascii_only, options.max_width, Segment.line()
    for line in lines:
        if sum([width_of(text) for text, _ in line]) > width:
            line = crop(line, width)
        for text, style in line:
            if text:
                if ascii_only:
                    text = text.translate(ASCII).encode("ascii", "replace").decode()
                yield Segment(text, _parse(style) if style else None)
        yield end


@dataclass(slots=True)
class Table:
    """Rows in columns, with lines of their own below some rows. Never wider than the console."""

    columns: list[Column]
    below: dict[int, list[list[Part]]] = field(default_factory=dict)
    """Lines under a row, by its index."""
    last_is_sum: bool = False

    def fit(self, width: int) -> list[tuple[Column, int]]:
        """The columns that are shown at this width, each with its own."""
        columns = list(self.columns)

        def needed() -> int:
            return sum(column.smallest for column in columns) + GAP * (len(columns) - 1)

        while needed() > width and any(column.drop for column in columns):
            columns.remove(max(columns, key=lambda column: column.drop))
        widths = {id(column): column.natural for column in columns}
        excess = sum(widths.values()) + GAP * (len(columns) - 1) - width
        while excess > 0:
            elastic = [column for column in columns if widths[id(column)] > column.smallest]
            if not elastic:
                break
            widest = max(elastic, key=lambda column: widths[id(column)] - column.smallest)
            rivals = [widths[id(column)] for column in elastic if column is not widest]
            step = max(1, min(excess, widths[id(widest)] - max([widest.smallest, *rivals])))
            widths[id(widest)] -= step
            excess -= step
        return [(column, widths[id(column)]) for column in columns]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        return segments(self._lines(options.max_width), options)

    def _lines(self, width: int) -> Iterator[list[Part]]:
        fitted = self.fit(width)
        yield row([(Cell([(column.title, "dim")]), width, column.right) for column, width in fitted])
        rows = len(self.columns[0].cells) if self.columns else 0
        for index in range(rows):
            if self.last_is_sum and index == rows - 1:
                yield [("─" * (sum([width for _, width in fitted]) + GAP * (len(fitted) - 1)), "dim")]
            yield row([(column.cells[index], width, column.right) for column, width in fitted])
            yield from self.below.get(index, ())


def row(cells: Sequence[tuple[Cell, int, bool]]) -> list[Part]:
    """One line of cells, each with its width and whether it is right-aligned."""
    line: list[Part] = []
    pending = 0
    for cell, width, right in cells:
        if cell.width == 0:
            pending += width + GAP
            continue
        if cell.width > width:
            cell = cell.fitted(width)
        space = width - cell.width
        before = pending + space if right else pending
        if before:
            line.append((" " * before, ""))
        line.extend(cell.parts)
        pending = GAP if right else GAP + space
    if line:
        line[-1] = (line[-1][0].rstrip(" "), line[-1][1])
    return line
