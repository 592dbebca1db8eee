"""The tree does not depend on the order in which CrewAI's threads tell of it."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.events import crewai_event_bus
from treerings.testing import Capture, ModelServer, capture
from treerings_crewai.assembler import Assembler
from treerings_crewai.listener import ASSEMBLER
from treerings_crewai.scopes import Scopes

Said = list[tuple[str, Any, Any]]


@pytest.fixture
def said(captured: Capture, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Everything that is told in this test, in the order of its time."""
    told: Said = []
    started, ended = ASSEMBLER.started, ASSEMBLER.ended

    def on_started(recorder: Any, facts: Any, start: Any) -> None:
        told.append(("started", copy.copy(facts), copied(start)))
        started(recorder, facts, start)

    def on_ended(recorder: Any, facts: Any, end: Any) -> None:
        told.append(("ended", copy.copy(facts), copied(end)))
        ended(recorder, facts, end)

    monkeypatch.setattr(ASSEMBLER, "started", on_started)
    monkeypatch.setattr(ASSEMBLER, "ended", on_ended)
    return told


def copied(said: Any) -> Any:
    return dataclasses.replace(said, attributes=dict(said.attributes))


def retold(said: Said, seed: int, far: float = 1e9) -> str:
    """The outline when the same is told in another order; `far` is by how many places at most something moves."""
    places = random.Random(seed)
    keyed = sorted(((index + places.uniform(0, far), item) for index, item in enumerate(said)), key=lambda k: k[0])
    order = [item for _, item in keyed]
    assembler = Assembler(Scopes())
    with capture() as again:
        for what, facts, more in order:
            getattr(assembler, what)(again.recorder, copy.copy(facts), copied(more))
        links = {step.id for step in again.steps if step.kind == "llm"}
        assert all(step.attributes["called_by"] in links for step in again.steps if step.kind in ("tool", "handoff"))
        return again.outline()


def test_any_order_of_a_crew_with_tools_and_a_handoff_gives_the_same_tree(
    server: ModelServer, agent: Callable[..., Agent], ring_count: Any, captured: Capture, said: Said
) -> None:
    work = {"task": "Count the rings.", "context": "An oak.", "coworker": "clerk"}
    server.call_tool("delegate_work_to_coworker", work)
    server.call_tool("count_rings", {"tree": "oak"}).say("112.").say("Done.").say("Reported.")
    boss = agent("boss", allow_delegation=True)
    tasks = [Task(description=text, expected_output="A report.", agent=boss) for text in ("Count.", "Report.")]
    Crew(agents=[boss, agent("clerk", tools=[ring_count])], tasks=tasks).kickoff()
    crewai_event_bus.flush()

    outline = captured.outline()
    assert outline.count("\n") == 12
    for seed in range(25):
        assert retold(said, seed) == outline, seed


def test_any_order_after_failures_keeps_every_step_in_one_tree_and_every_call_under_its_agent(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture, said: Said
) -> None:
    server.fail(400).fail(400).say("One.").say("Two.")
    crew("First.", "Second.").kickoff()
    crewai_event_bus.flush()

    lines = sorted(captured.outline().split("\n"))
    for seed in range(25):
        assert sorted(retold(said, seed, far=4).split("\n")) == lines, seed


def test_what_is_told_twice_is_recorded_once(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture, said: Said
) -> None:
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")
    crew("Count.", tools=[ring_count]).kickoff()
    crewai_event_bus.flush()

    assert retold(said + said, 1) == captured.outline()
