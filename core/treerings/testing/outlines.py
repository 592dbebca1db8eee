"""Trees as indented text, to compare in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from treerings.records import Step, Workflow

__all__ = ["outline"]


def outline(
    workflow: Workflow, *, hidden: bool = False, show: Callable[[Step], str] | Iterable[str] = (), indent: str = "  "
) -> str:
    """One line a step: `kind name`, then its status unless it is `ok`, indented by depth, in the order of the starts.

    `show` adds fields (`("agent", "model", "input_tokens")`: attributes of the step, of its usage or in its attributes)
    or a text of your own. Collapsed plumbing is left out, its children move up, unless `hidden`.
    """
    children = workflow.children()
    lines: list[str] = []
    stack = [(0, step) for step in reversed(children.get(None, ()))]
    while stack:
        depth, step = stack.pop()
        shown = hidden or not step.attributes.get("hidden")
        if shown:
            lines.append(indent * depth + _line(step, show))
        below = depth + 1 if shown else depth
        stack.extend((below, child) for child in reversed(children.get(step.id, ())))
    return "\n".join(lines)


def _line(step: Step, show: Callable[[Step], str] | Iterable[str]) -> str:
    parts = [str(step.kind), step.name]
    if step.status != "ok":
        parts.append(str(step.status))
    if callable(show):
        parts.append(show(step))
    else:
        parts.extend(f"{name}={value}" for name in show if (value := _value(step, name)) is not None)
    return " ".join(part for part in parts if part)


def _value(step: Step, name: str) -> object:
    if hasattr(step, name):
        return getattr(step, name)
    if step.usage is not None and hasattr(step.usage, name):
        return getattr(step.usage, name)
    return step.attributes.get(name)
