"""A store in a dictionary: for tests, for looking at the last runs, and under stores that read whole files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from .queries import matches, matches_workflow, page, totals_of
from .records import Step, Totals, Workflow
from .store import Filter

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps every step that it is given until it is deleted; `Store` and `Tailing`, from any thread."""

    def __init__(self, url: str = "memory://") -> None:
        self.url = url
        self._lock = threading.Lock()
        self._steps: dict[str, Step] = {}
        self._workflows: dict[str, dict[str, Step]] = {}
        self._revisions: dict[str, int] = {}
        """When each step was last written, in the order of writing."""
        self._revision = 0

    def write(self, steps: Sequence[Step]) -> None:
        with self._lock:
            for step in steps:
                self._put(step)

    def workflow(self, id: str) -> Workflow | None:
        with self._lock:
            steps = list(self._workflows.get(id, {}).values())
        return Workflow.of(id, steps) if steps else None

    def workflows(self, filter: Filter | None = None) -> list[Workflow]:
        filter = filter or Filter()
        with self._lock:
            trees = [(id, list(steps.values())) for id, steps in self._workflows.items()]
        found = [tree for tree in (Workflow.of(id, steps) for id, steps in trees) if matches_workflow(tree, filter)]
        return [replace(workflow, steps=[]) for workflow in page(found, filter)]

    def totals(self, by: Sequence[str] = (), filter: Filter | None = None) -> list[Totals]:
        with self._lock:
            steps = list(self._steps.values())
        return totals_of(steps, by, filter)

    def delete(self, filter: Filter) -> int:
        with self._lock:
            found = {step.workflow_id for step in self._steps.values() if matches(step, filter)}
            trees = page((Workflow.of(id, self._workflows[id].values()) for id in found), filter)
            for tree in trees:
                for step in tree.steps:
                    del self._steps[step.id], self._revisions[step.id]
                del self._workflows[tree.id]
        return sum(len(tree.steps) for tree in trees)

    def changes(self, cursor: int | None = None, *, limit: int = 1000) -> tuple[int, list[Step]]:
        with self._lock:
            if cursor is None:
                return self._revision, []
            fresh: list[str] = []
            for id in reversed(self._revisions):
                if self._revisions[id] <= cursor:
                    break
                fresh.append(id)
            ids = fresh[::-1][:limit]
            return (self._revisions[ids[-1]] if ids else cursor), [self._steps[id] for id in ids]

    def close(self) -> None:
        """Does nothing: the steps stay readable."""

    def _put(self, step: Step) -> None:
        before = self._steps.get(step.id)
        if before is not None:
            if (step.input is None and before.input is not None) or (step.output is None and before.output is not None):
                step = replace(
                    step,
                    input=before.input if step.input is None else step.input,
                    output=before.output if step.output is None else step.output,
                )
            if before.workflow_id != step.workflow_id:
                self._leave(before)
            del self._revisions[step.id]
        self._revision += 1
        self._steps[step.id] = step
        self._revisions[step.id] = self._revision
        self._workflows.setdefault(step.workflow_id, {})[step.id] = step

    def _leave(self, step: Step) -> None:
        """A step that turned out to belong elsewhere takes an empty workflow with it."""
        steps = self._workflows[step.workflow_id]
        del steps[step.id]
        if not steps:
            del self._workflows[step.workflow_id]
