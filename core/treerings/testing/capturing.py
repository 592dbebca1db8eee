"""Capturing what a test's code does, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from treerings import runtime
from treerings.clock import Clock
from treerings.delivery import Delivery
from treerings.memory import MemoryStore
from treerings.recorder import FlushReport, Recorder
from treerings.records import Step, Workflow
from treerings.registry import Registry
from treerings.settings import given_settings
from treerings.spool import Spool
from treerings.store import Store

from .outlines import outline

__all__ = ["Capture", "capture"]


class Capture:
    """What was recorded since the capture began. Every look flushes first, so it is complete up to that moment."""

    def __init__(self, recorder: Recorder, store: Store) -> None:
        self.recorder = recorder
        self.store = store

    def flush(self) -> FlushReport:
        """Store everything said so far; see `treerings.flush`."""
        return self.recorder.flush()

    def finish(self) -> FlushReport:
        """Close what never ended, as the end of the process would, and store it."""
        return self.recorder.settle()

    @property
    def workflows(self) -> list[Workflow]:
        """The workflows with their steps, the oldest first."""
        self.flush()
        listed = self.store.workflows()
        found = [workflow for item in reversed(listed) if (workflow := self.store.workflow(item.id)) is not None]
        return sorted(found, key=lambda workflow: workflow.steps[0].sequence)

    @property
    def workflow(self) -> Workflow:
        """The only workflow; an `AssertionError` shows them all when there are more or none."""
        workflows = self.workflows
        if len(workflows) != 1:
            shown = "\n\n".join(outline(workflow) for workflow in workflows)
            raise AssertionError(f"Expected one workflow, captured {len(workflows)}.\n{shown}")
        return workflows[0]

    @property
    def steps(self) -> list[Step]:
        """The steps of all workflows, in the order of their start."""
        return sorted((step for workflow in self.workflows for step in workflow.steps), key=lambda step: step.sequence)

    def step(self, kind: str, name: str | None = None) -> Step:
        """The only step of this kind (and name); an `AssertionError` shows what there is."""
        found = [s for s in self.steps if s.kind == kind and (name is None or s.name == name)]
        if len(found) != 1:
            raise AssertionError(
                f"Expected one {kind} {name or ''}, captured {len(found)}.\n{self.outline(hidden=True)}"
            )
        return found[0]

    def outline(self, **options: Any) -> str:
        """The outlines of all workflows, a blank line between two; options as for `outline`."""
        return "\n\n".join(outline(workflow, **options) for workflow in self.workflows)


@contextmanager
def capture(
    *, clock: Clock | None = None, store: Store | None = None, registry: Registry | None = None, **settings: Any
) -> Iterator[Capture]:
    """Record into memory inside the `with` block, whatever the settings outside; nothing is written to disk.

    `settings` are those of `treerings.configure` (`content="full"`, `sample=0.5`); `clock` may be a `DeterministicClock`.
    """
    target = store or MemoryStore()
    plugins = registry or runtime.registry()
    plugins.load()
    chosen = given_settings(**settings)
    with TemporaryDirectory(prefix="treerings-") as folder:
        recorder = runtime.recorder_from(chosen, registry=plugins, clock=clock)
        recorder.use_delivery(lambda: Delivery(lambda: target, Spool(Path(folder), "capture")))
        before = runtime.use_recorder(recorder)
        try:
            yield Capture(recorder, target)
        finally:
            runtime.use_recorder(before)
            recorder.close()
