"""Events for tests of the forest: short to write, with times and sequence numbers that count up."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from treerings import Kind, Status, Step, StepEnded, StepStarted, StepUpdated, Usage
from treerings.events import Event
from treerings.tree import Forest

T0 = 1_767_225_600_000_000_000
MS = 1_000_000
SECOND = 1_000_000_000


class Story:
    """Says events of one workflow, one millisecond apart, in the order of the calls."""

    def __init__(self, workflow_id: str = "w", *, sequence: int = 0) -> None:
        self.workflow_id = workflow_id
        self.sequence = sequence
        self.events: list[Event] = []

    def _times(self) -> dict[str, int]:
        self.sequence += 1
        return {
            "time_ns": T0 + self.sequence * MS,
            "clock_ns": self.sequence * MS,
            "sequence": self.sequence,
        }

    def start(self, id: str, parent: str | None = None, kind: str = "chain", **more: Any) -> StepStarted:
        name = more.pop("name", id)
        event = StepStarted(id, self.workflow_id, parent, Kind(kind), name, "test", **self._times(), **more)
        self.events.append(event)
        return event

    def update(self, id: str, **more: Any) -> StepUpdated:
        if "kind" in more:
            more["kind"] = Kind(more["kind"])
        event = StepUpdated(id, self.workflow_id, **self._times(), **more)
        self.events.append(event)
        return event

    def end(self, id: str, status: str = "ok", **more: Any) -> StepEnded:
        event = StepEnded(id, self.workflow_id, **self._times(), status=Status(status), **more)
        self.events.append(event)
        return event

    @property
    def now_ns(self) -> int:
        """The UTC time of the latest event."""
        return T0 + self.sequence * MS


def settle(step: Step) -> None:
    """Accounting in small: an unreported model call is estimated by the letters of its text, a token costs a dollar."""
    if step.usage is None and step.kind in ("llm", "embedding") and (step.input is not None or step.output is not None):
        step.usage = Usage(input_tokens=len(str(step.input or "")), output_tokens=len(str(step.output or "")))
        step.estimated = True
        step.attributes = {**step.attributes, "token_count_method": "letters"}
    if step.usage is not None and step.usage.total_tokens is not None:
        step.cost_usd = Decimal(step.usage.total_tokens)
        step.price = {"rule": step.model}


class Kept:
    """What a store would hold: the latest state of each step; a payload of None keeps the one before."""

    def __init__(self, forest: Forest | None = None) -> None:
        self.forest = Forest() if forest is None else forest
        self.steps: dict[str, Step] = {}
        self.folds = 0

    def apply(self, events: Iterable[Event]) -> Kept:
        """The forest owns what it gets: it gets copies."""
        for event in events:
            self.forest.apply(copy.deepcopy(event))
        return self

    def collect(self) -> Kept:
        for step in self.forest.collect(self._settle):
            before = self.steps.get(step.id)
            if before is not None:
                step.input = before.input if step.input is None else step.input
                step.output = before.output if step.output is None else step.output
            self.steps[step.id] = step
        return self

    def sweep(self, now_ns: int) -> Kept:
        self.forest.sweep(now_ns)
        return self.collect()

    def close_all(self) -> Kept:
        self.forest.close_all()
        return self.collect()

    def _settle(self, step: Step) -> None:
        self.folds += 1
        settle(step)

    def statuses(self) -> Mapping[str, str]:
        return {id: str(step.status) for id, step in self.steps.items()}

    def counted(self) -> set[str]:
        """The model calls that count."""
        return {id for id, step in self.steps.items() if step.counted and step.kind in ("llm", "embedding")}
