"""What went into a step and what came out, in a few readable lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ..plain import dump_json
from .text import clean_lines

if TYPE_CHECKING:
    from ..records import Step
    from .table import Part

__all__ = ["payload_lines"]

MOST_LINES = 12
"""Lines of one payload that are shown."""
LONGEST = 20_000
"""Characters of one payload that are looked at."""


def payload_lines(step: Step, beneath: str, width: int) -> list[list[Part]]:
    """The lines for a step's input and output, behind the guides of what is above."""
    lines: list[list[Part]] = []
    for mark, style, value in (("in  ", "green", step.input), ("out ", "blue", step.output)):
        if value is None:
            continue
        shown = clean_lines(_text(value))
        cut = shown[:MOST_LINES]
        for index, line in enumerate(cut):
            head = mark if index == 0 else "    "
            lines.append([(beneath, "bright_black"), (head, style), (line, "")])
        if len(shown) > MOST_LINES:
            more = f"… {len(shown) - MOST_LINES} more lines: --json shows all"
            lines.append([(beneath, "bright_black"), ("    ", ""), (more, "bright_black")])
    return lines


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[:LONGEST]
    if isinstance(value, dict | list | tuple):
        plain = dump_json(value)
        if len(plain) <= 60:
            return plain.decode()
        return _indented(plain)[:LONGEST]
    return str(value)[:LONGEST]


def _indented(plain: bytes) -> str:
    return orjson.dumps(orjson.loads(plain), option=orjson.OPT_INDENT_2).decode()
