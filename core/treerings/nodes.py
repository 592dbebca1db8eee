"""A step and a workflow while they are in memory: the events that were said of them, and their place."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from .events import Status, StepEnded, StepStarted, StepUpdated
from .records import Totals
from .usage import Usage

__all__ = ["Inherited", "Node", "Tree"]

Account: TypeAlias = tuple[Usage | None, bool, Decimal | None, dict[str, Any] | None, dict[str, Any]]
"""Usage, whether it is estimated, cost, price, added attributes: what accounting found out about a step."""

AT_THE_END = 1 << 64
"""Above every sequence number."""


class Inherited(NamedTuple):
    """What a step has with everything that comes from its ancestors."""

    agent: str | None
    labels: Mapping[str, str]
    call: Node | None
    """The nearest enclosing model call, the step itself included."""


class Node:
    """One step."""

    __slots__ = (
        "account",
        "children",
        "closed",
        "dirty",
        "end",
        "estimate",
        "given",
        "given_input",
        "id",
        "inherited",
        "inner_calls",
        "level",
        "parent",
        "start",
        "tree",
        "updates",
    )

    def __init__(self, id: str, tree: Tree) -> None:
        self.id = id
        self.tree = tree
        self.parent: Node | None = None
        self.children: dict[str, Node] | None = None
        self.start: StepStarted | None = None
        self.updates: list[StepUpdated] | None = None
        """In the order of their sequence."""
        self.end: StepEnded | None = None
        self.closed: tuple[Status, int] | None = None
        """The status and the UTC time that a rule gave to a step that never ended."""
        self.inherited: Inherited | None = None
        """A cache; None when it has to be worked out."""
        self.account: Account | None = None
        self.estimate: tuple[Usage | None, dict[str, Any]] | None = None
        """The usage that was estimated, with its attributes, where the account has to be worked out once more."""
        self.inner_calls: dict[str, Node] | None = None
        """The model calls inside this model call."""
        self.level = -1
        """What is known of a model call's usage: 2 reported, 1 estimated, 0 nothing, -1 no model call."""
        self.dirty = False
        self.given = False
        """Whether the step was collected before."""
        self.given_input = -1
        """Which input was collected last: 0 the start's, an update's sequence, `AT_THE_END`; -1 none."""

    @property
    def open(self) -> bool:
        return self.end is None and self.closed is None

    def ended_ns(self) -> int:
        """UTC; 0 while the step is open."""
        if self.end is not None:
            return self.end.time_ns
        return self.closed[1] if self.closed is not None else 0

    def attach(self, parent: Node) -> None:
        self.parent = parent
        if parent.children is None:
            parent.children = {}
        parent.children[self.id] = self

    def detach(self) -> None:
        if self.parent is not None and self.parent.children is not None:
            self.parent.children.pop(self.id, None)
        self.parent = None

    def encloses(self, other: Node) -> bool:
        """Whether `other` is this step or below it."""
        if other is self:
            return True
        if not self.children:
            return False
        item = other.parent
        while item is not None:
            if item is self:
                return True
            item = item.parent
        return False

    def enclosing_call(self) -> Node | None:
        """The nearest model call around this step; its ancestors' inheritance must have been worked out."""
        above = self.parent
        return above.inherited.call if above is not None and above.inherited is not None else None

    def latest_input(self) -> int:
        """Which input is the latest, as in `given_input`; those that were dropped do not show."""
        if self.end is not None and self.end.input is not None:
            return AT_THE_END
        for update in reversed(self.updates or ()):
            if update.input is not None:
                return update.sequence
        return 0 if self.start is not None and self.start.input is not None else -1

    def last_sequence(self) -> int:
        """The sequence of the last event that was said of this step."""
        return max(
            -1 if self.start is None else self.start.sequence,
            self.updates[-1].sequence if self.updates else -1,
            -1 if self.end is None else self.end.sequence,
        )

    def drop_payloads(self) -> None:
        """Let go of input and output: they were given."""
        if self.start is not None:
            self.start.input = None
        for update in self.updates or ():
            update.input = None
        if self.end is not None:
            self.end.input = self.end.output = None


class Tree:
    """One workflow."""

    __slots__ = ("changed_ns", "finished", "gone", "id", "lingering", "nodes", "open", "pruned")

    def __init__(self, id: str) -> None:
        self.id = id
        self.nodes: dict[str, Node] = {}
        self.open = 0
        """Steps that have started and not ended."""
        self.changed_ns = 0
        """The UTC time of its latest event."""
        self.lingering = False
        """Whether its root has ended."""
        self.finished = False
        self.gone = -1
        """The last sequence of a start that was let go of: unknown steps up to there are not new."""
        self.pruned: Totals | None = None
        """Sums over the ended steps that were let go of to stay under the bound."""
