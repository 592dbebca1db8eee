"""What went into a step and what came out, in a few readable lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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
    lines: list[str] = []
    left = LONGEST
    for line in _lines(value):
        lines.append(line[:left])
        left -= len(line)
        if left <= 0:
            break
    return "\n".join(lines)


def _lines(value: Any) -> Iterator[str]:
    """Plain data as a person would note it down: `key: value`, `- item`, and messages as `role: text`."""
    if isinstance(value, dict):
        if _is_message(value):
            yield from _message(value)
        elif not value:
            yield "{}"
        else:
            for key, item in value.items():
                yield from _headed(f"{key}:", item)
    elif isinstance(value, list | tuple):
        if not value:
            yield "[]"
        for item in value:
            if isinstance(item, dict) and _is_message(item):
                yield from _message(item)
            else:
                yield from _headed("-", item)
    elif isinstance(value, str):
        yield from value.splitlines() or [""]
    else:
        yield dump_json(value).decode()


def _headed(head: str, value: Any) -> Iterator[str]:
    """`head` and the value on one line if it has one, else beneath it."""
    lines = list(_lines(value))
    if len(lines) == 1 and not (isinstance(value, dict | list) and value and len(lines[0]) > 60):
        yield f"{head} {lines[0]}"
    else:
        yield head
        for line in lines:
            yield f"  {line}"


def _is_message(value: dict[str, Any]) -> bool:
    return isinstance(value.get("role"), str) and "content" in value


def _message(value: dict[str, Any]) -> Iterator[str]:
    """A message: who, what, and the tool calls in it."""
    who = value["role"]
    if value.get("name"):
        who = f"{who} ({value['name']})"
    content = value["content"]
    if content not in ("", None, []):
        yield from _headed(f"{who}:", content)
        who = ""
    for call in value.get("tool_calls") or ():
        if isinstance(call, dict):
            arguments = call.get("args")
            text = dump_json(arguments).decode() if arguments is not None else ""
            yield f"{f'{who}: ' if who else '  '}→ {call.get('name')} {text}"
            who = ""
    if who:
        yield f"{who}:"
