"""What is kept of runs is bounded, and what comes too late or never is borne."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from treerings import Kind, Status
from treerings.testing import Capture, capture
from treerings_crewai.assembler import Assembler
from treerings_crewai.ends import End
from treerings_crewai.places import Told
from treerings_crewai.scopes import Scopes
from treerings_crewai.starts import Start


class Teller:
    """Tells an assembler of executions, as the handlers do."""

    def __init__(self, captured: Capture, scopes: Scopes) -> None:
        self.captured, self.recorder = captured, captured.recorder
        self.assembler = Assembler(scopes)
        self.time_ns = self.recorder.clock.time_ns()

    def _told(self, type: str, id: str, parent: str | None, started: str | None, uuid: str | None) -> Told:
        self.time_ns += 1_000
        return Told(id, parent, started, type, self.time_ns, uuid)

    def start(self, kind: Kind, id: str, parent: str | None, uuid: str | None, **more: Any) -> None:
        type = "crew_kickoff_started" if more.get("begins") else f"{kind}_started"
        said = Start(kind, id, (str(kind), id), **more)
        self.assembler.started(self.recorder, self._told(type, id, parent, None, uuid), said)

    def end(self, kind: Kind, id: str, uuid: str | None, **more: Any) -> None:
        end = End((str(kind), id), **more)
        self.assembler.ended(self.recorder, self._told(f"{kind}_completed", f"end {id}", None, id, uuid), end)

    def run(self, uuid: str, *, calls: int = 1) -> None:
        self.start(Kind.WORKFLOW, f"crew {uuid}", None, uuid, begins=True)
        for index in range(calls):
            self.start(Kind.LLM, f"call {uuid} {index}", f"crew {uuid}", uuid)
            self.end(Kind.LLM, f"call {uuid} {index}", uuid)
        self.end(Kind.WORKFLOW, f"crew {uuid}", uuid)


@pytest.fixture
def told() -> Iterator[Teller]:
    with capture() as captured:
        yield Teller(captured, Scopes(max_open=10, max_ended=5, max_roots=20, max_scopes=50, max_dead=100))


def sizes(told: Teller) -> list[int]:
    tables = {**vars(told.assembler), **vars(told.assembler.scopes)}
    return [len(table) for table in tables.values() if hasattr(table, "__len__")]


def test_a_thousand_runs_leave_no_growth(told: Teller) -> None:
    for index in range(200):
        told.run(str(index))
    before = sizes(told)
    for index in range(200, 1_000):
        told.run(str(index))

    assert sizes(told) == before


def test_runs_that_never_end_leave_no_growth(told: Teller) -> None:
    def runs(first: int) -> list[int]:
        for index in range(first, first + 2_500):
            told.start(Kind.WORKFLOW, f"crew {index}", None, str(index), begins=True)
            told.end(Kind.TOOL, f"unknown {index}", str(index))
        return sizes(told)

    assert runs(20_000) == runs(30_000)


def test_a_long_run_keeps_a_bounded_number_of_scopes(told: Teller) -> None:
    told.run("long", calls=1_000)

    assert max(sizes(told)) <= 51


def test_what_comes_after_a_run_was_forgotten_still_finds_its_tree(told: Teller) -> None:
    told.run("first")
    for index in range(10):
        told.run(str(index))

    told.start(Kind.MEMORY, "late", "crew first", "first")
    told.end(Kind.MEMORY, "late", "first")

    first = next(workflow for workflow in told.captured.workflows if workflow.name == "crew first")
    assert [step.name for step in first.steps] == ["crew first", "call first 0", "late"]


def test_an_end_without_a_start_is_no_step(told: Teller) -> None:
    told.end(Kind.TOOL, "never", "x", status=Status.ERROR)

    assert told.recorder.flush().recorded == 0


def test_a_run_taken_up_from_a_checkpoint_has_a_root_though_its_start_is_not_told(told: Teller) -> None:
    told.start(Kind.TASK, "second task", "a crew of another process", "x")
    told.end(Kind.TASK, "second task", "x")
    told.end(Kind.WORKFLOW, "crew", "x", name="survey", begins=True)

    told.assembler.settle(told.recorder, told.recorder.clock.time_ns())

    assert told.captured.outline(show=("resumed",)) == "workflow survey resumed=True\n  task second task"


def test_kickoffs_inside_a_training_are_under_it(told: Teller) -> None:
    told.start(Kind.WORKFLOW, "training", None, None, begins=True)
    for uuid in ("1", "2"):
        told.start(Kind.WORKFLOW, f"crew {uuid}", "training", uuid, begins=True)
        told.end(Kind.WORKFLOW, f"crew {uuid}", uuid)
    told.end(Kind.WORKFLOW, "training", None)

    assert told.captured.outline() == "workflow training\n  workflow crew 1\n  workflow crew 2"


def test_without_ids_of_executions_a_run_is_found_by_the_ids_of_its_events(told: Teller) -> None:
    told.start(Kind.WORKFLOW, "crew", None, None, begins=True)
    told.start(Kind.TASK, "task", "crew", None)
    told.start(Kind.LLM, "call", "task", None)
    for kind, id in ((Kind.LLM, "call"), (Kind.TASK, "task"), (Kind.WORKFLOW, "crew")):
        told.end(kind, id, None)

    assert told.captured.outline() == "workflow crew\n  task task\n    llm call"
