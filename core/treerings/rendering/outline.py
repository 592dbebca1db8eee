"""The tree as it is shown: plumbing folded away, deep parts cut, sums over what is below every step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..events import LEAF_KINDS, Kind, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ..records import Step, Workflow

__all__ = ["Branch", "Outline", "Sum", "outlined"]


@dataclass(slots=True)
class Sum:
    """Tokens and cost of the counted calls at and below a step."""

    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cost_usd: Decimal | None = None
    unpriced: int = 0
    estimated: bool = False

    def add(self, other: Sum) -> None:
        """Add what a child has to its parent."""
        self.calls += other.calls
        self.input_tokens = plus(self.input_tokens, other.input_tokens)
        self.output_tokens = plus(self.output_tokens, other.output_tokens)
        self.cache_read_tokens = plus(self.cache_read_tokens, other.cache_read_tokens)
        if other.cost_usd is not None:
            self.cost_usd = other.cost_usd if self.cost_usd is None else self.cost_usd + other.cost_usd
        self.unpriced += other.unpriced
        self.estimated = self.estimated or other.estimated


@dataclass(slots=True)
class Branch:
    """One shown step and its place."""

    step: Step
    depth: int
    last: bool
    """Whether no sibling follows."""
    sum: Sum
    children: int = 0
    folded: int = 0
    """Steps below that the depth limit hides."""
    repeats_error: bool = False
    """Whether a child shows the same error: it came up from there."""


@dataclass(slots=True)
class Outline:
    """The shown steps, each parent before its children."""

    branches: list[Branch] = field(default_factory=list)
    plumbing: int = 0
    """Steps that are folded away."""


def outlined(workflow: Workflow, *, every_step: bool = False, depth: int | None = None) -> Outline:
    """What to show of a workflow; `every_step` shows plumbing too, `depth` counts levels below the root.

    Time and memory grow linearly with the number of steps.
    """
    order = list(workflow.walk())
    steps = [step for _, step in order]
    children = workflow.children()
    sums = _sums(steps)
    shown_parent, shown = _fold(steps, children, every_step=every_step)
    below: dict[str | None, list[Step]] = {}
    for step in shown:
        below.setdefault(shown_parent[step.id], []).append(step)
    result = Outline(plumbing=len(steps) - len(shown))
    stack: list[tuple[Step, int, bool]] = _pushed(below.get(None, []), 0)
    while stack:
        step, level, last = stack.pop()
        inner = below.get(step.id, [])
        branch = Branch(step, level, last, sums[step.id], len(inner))
        branch.repeats_error = step.error is not None and any(child.error == step.error for child in inner)
        result.branches.append(branch)
        if depth is not None and level >= depth:
            branch.folded = _size(inner, below)
        else:
            stack.extend(_pushed(inner, level + 1))
    return result


def plus(first: int | None, second: int | None) -> int | None:
    """The sum of what is known."""
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _pushed(steps: list[Step], level: int) -> list[tuple[Step, int, bool]]:
    return [(step, level, index == 0) for index, step in enumerate(reversed(steps))]


def _size(steps: list[Step], below: Mapping[str | None, list[Step]]) -> int:
    waiting, size = list(steps), 0
    while waiting:
        size += 1
        waiting.extend(below.get(waiting.pop().id, ()))
    return size


def _fold(
    steps: list[Step], children: Mapping[str | None, list[Step]], *, every_step: bool
) -> tuple[dict[str, str | None], list[Step]]:
    """The nearest shown ancestor of every step, and the steps that are shown."""
    nearest: dict[str, str | None] = {}
    parents: dict[str, str | None] = {}
    shown: list[Step] = []
    by_id = {step.id: step for step in steps}
    for step in steps:
        above = nearest.get(step.parent_id) if step.parent_id is not None else None
        parents[step.id] = above
        if every_step or above is None or not _is_plumbing(step, by_id[above], children):
            shown.append(step)
            nearest[step.id] = step.id
        elif above is not None:
            nearest[step.id] = above
    return parents, shown


def _is_plumbing(step: Step, parent: Step, children: Mapping[str | None, list[Step]]) -> bool:
    """Whether an integration says so, or the step says nothing beside its only child or the step that it is the only child of.

    The latter are the nodes of an agent's own loop (`model`, `tools`), those that hold an agent of the same name, and the
    one request of an SDK below the model call of a framework.
    """
    inner = children.get(step.id, [])
    if step.kind in LEAF_KINDS and step.kind is parent.kind:
        alone = len(children.get(step.parent_id, ())) == 1 and all(child.kind is step.kind for child in inner)
        return alone and step.status is parent.status and (parent.model is not None or step.model is None)
    if step.attributes.get("hidden"):
        return step.status is not Status.ERROR or any(child.status is Status.ERROR for child in inner)
    if step.kind is not Kind.NODE or len(inner) != 1 or "attempt" in step.attributes:
        return False
    only = inner[0]
    if step.status is not Status.OK and only.status is not step.status:
        return False
    return parent.kind is Kind.AGENT or (only.kind is Kind.AGENT and only.name == step.name)


def _sums(steps: list[Step]) -> dict[str, Sum]:
    """The sum at and below every step; `steps` has parents before children."""
    sums: dict[str, Sum] = {}
    for step in steps:
        sums[step.id] = _own(step)
    for step in reversed(steps):
        if step.parent_id is not None and step.parent_id in sums:
            sums[step.parent_id].add(sums[step.id])
    return sums


def _own(step: Step) -> Sum:
    own = Sum(unpriced=int(step.unpriced))
    if not step.counted:
        return own
    own.cost_usd = step.cost_usd
    own.calls = int(step.kind in LEAF_KINDS or step.usage is not None)
    if (usage := step.usage) is not None:
        own.input_tokens = usage.input_tokens
        own.output_tokens = usage.output_tokens
        own.cache_read_tokens = usage.cache_read_tokens
        own.estimated = step.estimated
    return own
