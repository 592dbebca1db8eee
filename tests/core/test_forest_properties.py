"""Whatever the order, the repetition and the moments of looking: the same events make the same steps."""

from __future__ import annotations

import random
from typing import Any

import pytest
from forest_events import Kept, Story
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from treerings import Kind, Step, StepStarted, Usage
from treerings.events import Event
from treerings.tree import Forest

KINDS = ("chain", "agent", "llm", "tool", "embedding", "node")
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def stories(draw: st.DrawFn, calls_known_at_start: bool = False) -> list[Event]:
    """A tree of up to a dozen steps, said in a possible order: parents start first, anything may end or stay open.

    With `calls_known_at_start`, model calls are such from their start and their input is in it: payloads are let go of
    once they were collected, so what is estimated from them later would miss them.
    """
    story = Story()
    count = draw(st.integers(1, 12))
    open_steps: list[str] = []
    for number in range(count):
        id = "w" if number == 0 else f"s{number}"
        parent = None if number == 0 else draw(st.sampled_from(["w", *(f"s{n}" for n in range(1, number))]))
        story.start(
            id,
            parent,
            draw(st.sampled_from(KINDS)),
            input=draw(st.sampled_from([None, f"asked {id}"])),
            model=draw(st.sampled_from([None, "m1"])),
            labels=draw(st.sampled_from([None, {"session_id": id}, {"team": id, "user_id": "u"}])),
            attributes=draw(st.sampled_from([None, {"a": id}])),
        )
        open_steps.append(id)
        for _ in range(draw(st.integers(0, 2))):
            _say_something(draw, story, open_steps, calls_known_at_start)
    for id in draw(st.permutations(open_steps)):
        if draw(st.integers(0, 5)):
            _end(draw, story, id, calls_known_at_start)
    return story.events


def _is_call(story: Story, id: str) -> bool:
    return any(isinstance(e, StepStarted) and e.step_id == id and e.kind in ("llm", "embedding") for e in story.events)


def _say_something(draw: st.DrawFn, story: Story, open_steps: list[str], calls_known_at_start: bool) -> None:
    id = draw(st.sampled_from(open_steps))
    if draw(st.booleans()):
        said: dict[str, Any] = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "kind": st.sampled_from([Kind.AGENT, Kind.LLM, Kind.TOOL]),
                    "name": st.sampled_from(["renamed", "again"]),
                    "model": st.sampled_from(["m2", "m3"]),
                    "input": st.sampled_from(["more", "even more"]),
                    "usage": st.builds(Usage, input_tokens=st.integers(1, 9), output_tokens=st.integers(0, 9)),
                    "first_token_ns": st.integers(1, 50).map(lambda ms: ms * 1_000_000),
                    "labels": st.sampled_from([{"team": "late"}, {"session_id": "late"}]),
                    "attributes": st.sampled_from([{"a": "late"}, {"b": 2}]),
                },
            )
        )
        if calls_known_at_start:
            _leave_out_what_changes_calls(story, id, said)
        story.update(id, **said)


def _leave_out_what_changes_calls(story: Story, id: str, said: dict[str, Any]) -> None:
    if _is_call(story, id):
        said.pop("input", None)
        said.pop("kind", None)
    elif said.get("kind") == "llm":
        del said["kind"]


def _end(draw: st.DrawFn, story: Story, id: str, calls_known_at_start: bool) -> None:
    said: dict[str, Any] = {
        "status": draw(st.sampled_from(["ok", "error", "cancelled"])),
        "output": draw(st.sampled_from([None, f"answered {id}"])),
        "usage": draw(st.sampled_from([None, None, Usage(input_tokens=10, output_tokens=5), Usage()])),
        "model": draw(st.sampled_from([None, "m4"])),
        "input": draw(st.sampled_from([None, None, "asked in the end"])),
        "kind": draw(st.sampled_from([None, None, Kind.AGENT, Kind.LLM])),
        "name": draw(st.sampled_from([None, None, "named in the end"])),
        "error": draw(st.sampled_from([None, "broken"])),
        "attributes": draw(st.sampled_from([None, {"a": "end"}])),
    }
    if calls_known_at_start:
        _leave_out_what_changes_calls(story, id, said)
    story.end(id, **said)


def in_order(events: list[Event]) -> dict[str, Step]:
    return Kept().apply(events).collect().steps


@quick
@given(stories(), st.randoms(use_true_random=False))
def test_any_order_makes_the_same_steps(events: list[Event], chance: random.Random) -> None:
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert Kept().apply(shuffled).collect().steps == in_order(events)


@quick
@given(stories(), st.randoms(use_true_random=False))
def test_repeated_events_change_nothing(events: list[Event], chance: random.Random) -> None:
    said = [*events, *chance.choices(events, k=len(events))]
    chance.shuffle(said)
    assert Kept().apply(said).collect().steps == in_order(events)


@quick
@given(stories(calls_known_at_start=True), st.sets(st.integers(0, 60)))
def test_looking_in_between_changes_nothing(events: list[Event], looks: set[int]) -> None:
    kept = Kept()
    for number, event in enumerate(events):
        kept.apply([event])
        if number in looks:
            kept.collect()
    assert kept.collect().steps == in_order(events)


@settings(parent=quick, max_examples=100)
@given(stories(calls_known_at_start=True), st.randoms(use_true_random=False))
def test_any_order_repetition_and_looking_in_between_make_the_same_steps(
    events: list[Event], chance: random.Random
) -> None:
    said = [*events, *chance.choices(events, k=len(events) // 2)]
    chance.shuffle(said)
    kept = Kept()
    for event in said:
        kept.apply([event])
        if chance.random() < 0.4:
            kept.collect()
    assert kept.collect().steps == in_order(events)


@quick
@given(stories(), st.randoms(use_true_random=False))
def test_workflows_do_not_disturb_each_other(events: list[Event], chance: random.Random) -> None:
    other = Story("other", sequence=1000)
    for event in events:
        other.start(f"{event.step_id}-other-{other.sequence}", None if not other.events else "other")
    mixed = [*events, *other.events]
    chance.shuffle(mixed)
    kept = Kept().apply(mixed).collect()
    assert {id: step for id, step in kept.steps.items() if step.workflow_id == "w"} == in_order(events)


@quick
@given(stories(), st.randoms(use_true_random=False))
def test_nothing_stays_open_at_the_end_and_each_step_is_new_once(events: list[Event], chance: random.Random) -> None:
    shuffled = list(events)
    chance.shuffle(shuffled)
    forest = Forest()
    kept = Kept(forest)
    new = 0
    for event in shuffled:
        kept.apply([event]).collect()
        new += forest.take_new()
    kept.close_all()
    assert "running" not in kept.statuses().values()
    assert new + forest.take_new() == len(kept.steps) == len({event.step_id for event in events})
    assert len(forest) == 0


@pytest.mark.parametrize("seed", range(5))
def test_counted_usage_is_the_same_in_any_order(seed: int) -> None:
    story = Story()
    story.start("w", kind="agent")
    for call in range(20):
        story.start(f"outer{call}", "w", "llm", input="question")
        story.start(f"inner{call}", f"outer{call}", "llm", input="question")
        story.end(f"inner{call}", usage=Usage(input_tokens=call, output_tokens=1) if call % 2 else None, output="x")
        story.end(f"outer{call}", usage=Usage(input_tokens=call, output_tokens=1) if call % 3 else None, output="x")
    story.end("w")
    expected = Kept().apply(story.events).collect().counted()
    shuffled = list(story.events)
    random.Random(seed).shuffle(shuffled)
    kept = Kept()
    for event in shuffled:
        kept.apply([event]).collect()
    assert kept.counted() == expected
