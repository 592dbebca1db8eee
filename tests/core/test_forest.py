"""The forest: bounds, closing rules, odd trees, cost."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import treerings
from forest_events import MS, SECOND, T0, Kept, Story
from treerings import Usage, tree
from treerings.testing import capture
from treerings.tree import Forest


def finished_workflow(id: str, children: int = 1, *, sequence: int = 0) -> Story:
    story = Story(id, sequence=sequence)
    story.start(id, kind="agent")
    for number in range(children):
        story.start(f"{id}-{number}", id, "tool")
        story.end(f"{id}-{number}")
    story.end(id)
    return story


# -- odd trees ----------------------------------------------------------------------------------------------------


def test_a_step_that_is_its_own_parent_is_a_step() -> None:
    story = Story()
    story.start("a", "a")
    story.end("a")
    kept = Kept().apply(story.events).collect().close_all()
    assert kept.statuses() == {"a": "ok"}


@pytest.mark.parametrize("length", [2, 3, 50])
def test_a_cycle_of_parents_ends_and_keeps_every_step(length: int) -> None:
    story = Story()
    for number in range(length):
        story.start(f"s{number}", f"s{(number + 1) % length}", "llm", labels={"k": str(number)})
    for number in range(length):
        story.update(f"s{number}", kind="agent", name="x")
    kept = Kept().apply(story.events).collect().close_all()
    assert len(kept.steps) == length


@pytest.mark.parametrize("order", ["down", "up", "random"])
def test_a_chain_of_ten_thousand_is_folded_once_a_step(order: str) -> None:
    story = Story()
    count = 10_000
    for number in range(count):
        story.start(
            "w" if number == 0 else f"s{number}", None if number == 0 else f"s{number - 1}" if number > 1 else "w"
        )
    story.events[0].labels = {"team": "a"}  # type: ignore[union-attr]
    events = list(story.events)
    if order == "up":
        events.reverse()
    elif order == "random":
        random.Random(1).shuffle(events)
    forest = Forest()
    for event in events:
        forest.apply(event)
    steps = forest.collect()
    assert len(steps) == count
    assert all(step.labels == {"team": "a"} for step in steps)
    forest.close_all()
    assert {step.status for step in forest.collect()} == {"incomplete"}


def operations(monkeypatch: pytest.MonkeyPatch, events: list[Any], look_every: int) -> int:
    """How often steps were folded and inheritance worked out: what the cost of the forest is made of."""
    count = 0
    fold, inherit_one = tree.fold, tree._inherit_one

    def counting(function: Any) -> Any:
        def count_one(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            return function(*arguments)

        return count_one

    with monkeypatch.context() as patch:
        patch.setattr(tree, "fold", counting(fold))
        patch.setattr(tree, "_inherit_one", counting(inherit_one))
        forest = Forest()
        for number, event in enumerate(events, 1):
            forest.apply(copy.copy(event))
            if number % look_every == 0:
                forest.collect()
        forest.collect()
    return count


@pytest.mark.parametrize("reverse", [False, True])
def test_ten_times_the_steps_cost_ten_times_the_work(monkeypatch: pytest.MonkeyPatch, reverse: bool) -> None:
    def events(size: int) -> list[Any]:
        story = finished_workflow("w", size)
        return story.events[::-1] if reverse else story.events

    small, large = (operations(monkeypatch, events(size), 50) for size in (200, 2_000))
    assert large <= 10.5 * small


def test_a_workflow_that_becomes_an_agent_late_gives_its_name_to_everything_below() -> None:
    story = Story()
    story.start("w", name="chain")
    story.start("a", "w", "llm")
    kept = Kept().apply(story.events).collect()
    assert kept.steps["a"].agent is None
    story.update("w", kind="agent", name="planner")
    kept.apply(story.events[-1:]).collect()
    assert kept.steps["a"].agent == "planner"


def test_a_child_is_recorded_before_its_parent_is_known() -> None:
    story = Story()
    root = story.start("w", kind="agent", name="boss", labels={"session_id": "s"})
    child = story.start("a", "w", "tool")
    kept = Kept().apply([child]).collect()
    assert (kept.steps["a"].parent_id, kept.steps["a"].agent) == ("w", None)
    kept.apply([root]).collect()
    assert (kept.steps["a"].agent, kept.steps["a"].session_id) == ("boss", "s")


def test_an_end_waits_for_its_start() -> None:
    story = Story()
    start, end = story.start("w"), story.end("w", output="done")
    kept = Kept().apply([end]).collect()
    assert kept.steps == {}
    kept.apply([start]).collect()
    assert (kept.steps["w"].status, kept.steps["w"].output) == ("ok", "done")


def test_the_first_of_two_ends_counts() -> None:
    story = Story()
    story.start("w")
    story.end("w", "error", error="broken")
    story.end("w", "ok")
    for events in (story.events, [story.events[0], story.events[2], story.events[1]]):
        assert Kept().apply(events).collect().statuses() == {"w": "error"}


def test_a_payload_is_given_once() -> None:
    story = Story()
    story.start("w", input="question")
    forest = Forest()
    forest.apply(story.events[0])
    assert [step.input for step in forest.collect()] == ["question"]
    forest.apply(story.update("w", name="renamed"))
    assert [step.input for step in forest.collect()] == [None]


def test_an_older_update_does_not_replace_a_newer_input_that_was_given() -> None:
    story = Story()
    start, older, newer = story.start("w"), story.update("w", input="older"), story.update("w", input="newer")
    kept = Kept().apply([start, newer]).collect().apply([older]).collect()
    assert kept.steps["w"].input == "newer"


# -- closing by rule ----------------------------------------------------------------------------------------------


def test_steps_that_never_end_are_incomplete_when_their_root_has_lingered() -> None:
    story = Story()
    story.start("w")
    story.start("a", "w")
    story.end("w")
    kept = Kept().apply(story.events).collect()
    kept.sweep(story.now_ns + 1 * SECOND)
    assert kept.statuses() == {"w": "ok", "a": "running"}
    kept.sweep(story.now_ns + 2 * SECOND)
    assert kept.statuses() == {"w": "ok", "a": "incomplete"}


def test_a_workflow_that_still_says_things_lingers_on() -> None:
    story = Story()
    story.start("w")
    story.start("a", "w")
    story.end("w")
    kept = Kept().apply(story.events).collect()
    late = story.update("a", name="busy")
    late.time_ns = story.now_ns + 2 * SECOND
    kept.apply([late]).sweep(story.now_ns + 3 * SECOND)
    assert kept.statuses()["a"] == "running"


def test_steps_below_a_cancelled_one_are_cancelled() -> None:
    story = Story()
    story.start("w")
    story.start("a", "w")
    story.start("b", "a")
    story.start("c", "b")
    story.start("other", "w")
    story.end("a", "cancelled")
    story.end("w")
    kept = Kept().apply(story.events).collect().sweep(story.now_ns + 3 * SECOND)
    assert kept.statuses() == {"w": "ok", "a": "cancelled", "b": "cancelled", "c": "cancelled", "other": "incomplete"}


def test_a_closed_step_ends_when_its_nearest_ended_ancestor_did() -> None:
    story = Story()
    story.start("w")
    story.start("a", "w")
    story.start("b", "a")
    end = story.end("a")
    story.update("b", name="later")
    story.end("w")
    kept = Kept().apply(story.events).collect().sweep(story.now_ns + 3 * SECOND)
    assert kept.steps["b"].ended_ns == end.time_ns


def test_a_real_end_that_comes_late_overrides_the_rule() -> None:
    story = Story()
    story.start("w")
    story.start("a", "w", "llm", input="question")
    story.end("w")
    kept = Kept().apply(story.events).collect().sweep(story.now_ns + 3 * SECOND)
    assert kept.statuses()["a"] == "incomplete"
    kept.apply([story.end("a", output="answer")]).collect()
    step = kept.steps["a"]
    assert (step.status, step.output, step.usage) == ("ok", "answer", Usage(input_tokens=8, output_tokens=6))


def test_a_workflow_without_news_for_long_is_closed_and_let_go() -> None:
    story = Story()
    story.start("w")
    story.start("a", "w")
    forest = Forest(idle_s=3600)
    kept = Kept(forest).apply(story.events).collect().sweep(story.now_ns + 3599 * SECOND)
    assert kept.statuses() == {"w": "running", "a": "running"}
    kept.sweep(story.now_ns + 3700 * SECOND)
    assert kept.statuses() == {"w": "incomplete", "a": "incomplete"}
    assert len(forest) == 2  # a late real end still finds them
    kept.sweep(story.now_ns + 4400 * SECOND)
    assert len(forest) == 0


def test_a_closed_step_is_never_shorter_than_nothing() -> None:
    story = Story()
    story.start("w")
    end = story.end("w")
    story.start("late", "w")
    assert story.now_ns > end.time_ns
    kept = Kept().apply(story.events).collect().sweep(story.now_ns + 3 * SECOND)
    assert kept.steps["late"].duration_ms == 0


def test_a_workflow_is_told_finished_once() -> None:
    story = finished_workflow("w")
    forest = Forest()
    kept = Kept(forest).apply(story.events).collect()
    assert [tree.id for tree in forest.take_finished()] == ["w"]
    kept.apply(story.events).collect().sweep(story.now_ns + 3 * SECOND)
    kept.close_all()
    assert forest.take_finished() == []


def test_a_workflow_whose_steps_are_closed_by_rule_is_told_finished() -> None:
    story = Story()
    story.start("w")
    story.start("a", "w")
    story.end("w")
    forest = Forest()
    kept = Kept(forest).apply(story.events).collect()
    assert forest.take_finished() == []
    kept.sweep(story.now_ns + 3 * SECOND)
    assert [tree.id for tree in forest.take_finished()] == ["w"]


# -- bounds -------------------------------------------------------------------------------------------------------


def test_finished_workflows_are_let_go_after_lingering() -> None:
    forest = Forest(linger_s=2)
    kept = Kept(forest).apply(finished_workflow("w").events).collect()
    assert len(forest) == 2
    kept.sweep(T0 + 60 * SECOND)
    assert len(forest) == 0


def test_past_the_bound_finished_workflows_go_at_once() -> None:
    forest = Forest(max_steps=10)
    kept = Kept(forest)
    for number in range(20):
        kept.apply(finished_workflow(f"w{number}", sequence=number * 10).events)
    kept.collect().sweep(T0)
    assert len(forest) <= 10
    assert len(kept.steps) == 40


def test_past_the_bound_ended_steps_of_one_giant_workflow_go_and_stay_in_its_totals() -> None:
    forest = Forest(max_steps=100)
    story = Story()
    story.start("w", kind="agent")
    kept = Kept(forest).apply(story.events)
    story.events.clear()
    for number in range(500):
        story.start(f"s{number}", "w", "llm")
        story.end(f"s{number}", usage=Usage(input_tokens=1, output_tokens=1))
        kept.apply(story.events).collect().sweep(story.now_ns)
        story.events.clear()
    assert len(forest) <= 101
    kept.apply([story.end("w")]).collect()
    (finished,) = forest.take_finished()
    totals = forest.workflow(finished).totals
    assert (totals.steps, totals.llm_calls, totals.input_tokens, totals.cost_usd) == (501, 500, 500, 1000)


def test_past_the_bound_the_oldest_open_workflows_are_closed_as_incomplete() -> None:
    forest = Forest(max_steps=10)
    kept = Kept(forest)
    for number in range(20):
        story = Story(f"w{number}", sequence=number)
        story.start(f"w{number}")
        kept.apply(story.events)
    kept.collect().sweep(T0 + 20 * MS)
    kept.sweep(T0 + 21 * MS)
    assert len(forest) == 9
    assert list(kept.statuses().values()) == ["incomplete"] * 11 + ["running"] * 9


def test_an_end_whose_start_never_comes_is_lost_and_counted() -> None:
    forest = Forest()
    story = Story()
    story.end("w")
    Kept(forest).apply(story.events).collect().close_all()
    assert forest.lost == 1


def test_a_parent_of_which_nothing_was_said_is_not_lost() -> None:
    forest = Forest()
    story = Story()
    story.start("a", "w")
    kept = Kept(forest).apply(story.events).collect().close_all()
    assert forest.lost == 0
    assert kept.statuses() == {"a": "incomplete"}


def test_events_repeated_after_their_workflow_was_let_go_change_nothing() -> None:
    forest = Forest()
    story = finished_workflow("w")
    kept = Kept(forest).apply(story.events).collect().sweep(story.now_ns + 3 * SECOND)
    assert len(forest) == 0
    before = dict(kept.steps)
    for event in story.events:
        kept.apply([event]).collect()
        assert kept.steps == before
    kept.close_all()
    assert kept.steps == before
    assert forest.lost == 0


def test_events_repeated_after_their_step_was_let_go_change_nothing() -> None:
    forest = Forest(max_steps=4)
    story = Story()
    story.start("w")
    for number in range(10):
        story.start(f"s{number}", "w", "tool")
        story.end(f"s{number}")
    kept = Kept(forest).apply(story.events).collect().sweep(story.now_ns)
    before = dict(kept.steps)
    for event in story.events:
        kept.apply([event]).collect()
        assert kept.steps == before


def test_a_new_step_of_a_workflow_that_was_let_go_is_recorded() -> None:
    forest = Forest()
    story = finished_workflow("w")
    kept = Kept(forest).apply(story.events).collect().sweep(story.now_ns + 3 * SECOND)
    kept.apply([story.start("afterwards", "w"), story.end("afterwards")]).collect()
    assert kept.statuses()["afterwards"] == "ok"


def test_a_workflow_that_came_back_outlives_what_is_left_of_the_first() -> None:
    forest = Forest()
    story = Story()
    story.start("w")
    kept = Kept(forest).apply(story.events).close_all()
    kept.apply([story.start("x", "w"), story.start("y", "w")]).collect().sweep(story.now_ns)
    assert len(forest) == 3
    kept.close_all()
    assert len(forest) == 0


def test_a_step_that_says_a_great_deal_is_held_in_little() -> None:
    forest = Forest()
    story = Story()
    story.start("w")
    for number in range(5_000):
        story.update("w", attributes={"n": number, f"k{number % 3}": number})
    kept = Kept(forest).apply(story.events).collect()
    assert kept.steps["w"].attributes["n"] == 4_999
    assert len(forest._trees["w"].nodes["w"].updates or ()) <= 1_000


# -- model calls --------------------------------------------------------------------------------------------------


def nested_calls(*usages: Usage | None, output: str | None = "answer") -> Story:
    """Model calls one inside the other, the outermost first; None is a call whose provider reported nothing."""
    story = Story()
    story.start("w")
    parent = "w"
    for number, _ in enumerate(usages):
        story.start(f"call{number}", parent, "llm", input="question" if output else None)
        parent = f"call{number}"
    for number, usage in reversed(list(enumerate(usages))):
        story.end(f"call{number}", usage=usage, output=output)
    story.end("w")
    return story


REPORTED = Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize(
    ("usages", "counted"),
    [
        ([REPORTED, REPORTED], {"call1"}),
        ([REPORTED, None], {"call0"}),
        ([None, REPORTED], {"call1"}),
        ([None, None], {"call1"}),
        ([REPORTED, REPORTED, REPORTED], {"call2"}),
        ([REPORTED, REPORTED, None], {"call1"}),
        ([None, REPORTED, None], {"call1"}),
    ],
)
@pytest.mark.parametrize("seed", range(6))
def test_of_nested_calls_the_innermost_that_knows_most_counts(
    usages: list[Usage | None], counted: set[str], seed: int
) -> None:
    events = nested_calls(*usages).events
    random.Random(seed).shuffle(events)
    kept = Kept()
    for event in events:
        kept.apply([event])
        if seed % 2:
            kept.collect()
    assert kept.collect().counted() == counted


def test_of_nested_calls_that_know_nothing_the_innermost_is_the_unpriced_one() -> None:
    kept = Kept().apply(nested_calls(None, None, output=None).events).collect()
    assert kept.counted() == {"call1"}
    assert [id for id, step in kept.steps.items() if step.unpriced] == ["call1"]


def test_an_empty_usage_is_no_reported_usage() -> None:
    assert Kept().apply(nested_calls(REPORTED, Usage(), output=None).events).collect().counted() == {"call0"}


def test_two_calls_side_by_side_count_both() -> None:
    story = Story()
    story.start("w", kind="llm")
    for id in ("a", "b"):
        story.start(id, "w", "llm")
        story.end(id, usage=REPORTED)
    story.end("w", usage=REPORTED)
    assert Kept().apply(story.events).collect().counted() == {"a", "b"}


def test_what_turns_out_to_be_no_model_call_gives_its_usage_back_to_the_one_around_it() -> None:
    story = nested_calls(REPORTED, REPORTED)
    kept = Kept().apply(story.events).collect()
    kept.apply([story.update("call1", kind="agent")]).collect()
    assert kept.counted() == {"call0"}


def test_an_estimate_keeps_its_method_when_the_step_is_told_again() -> None:
    story = nested_calls(None)
    kept = Kept().apply(story.events).collect()
    kept.apply([story.update("w", labels={"team": "a"})]).collect()
    step = kept.steps["call0"]
    assert (step.labels, step.attributes) == ({"team": "a"}, {"token_count_method": "letters"})


def test_a_model_that_becomes_known_late_prices_the_estimate_again() -> None:
    story = nested_calls(None)
    update = story.update("call0", model="late")
    kept = Kept().apply(story.events[:-1]).collect()
    estimated = kept.steps["call0"].usage
    kept.apply([update]).collect()
    step = kept.steps["call0"]
    assert (step.usage, step.estimated, step.price) == (estimated, True, {"rule": "late"})


def test_a_step_is_accounted_for_once() -> None:
    story = nested_calls(REPORTED)
    kept = Kept().apply(story.events).collect()
    for number in range(5):
        kept.apply([story.update("w", labels={"n": str(number)})]).collect()
    assert kept.folds == 1


def test_an_estimate_beside_a_reported_call_of_the_same_outer_call_counts() -> None:
    with capture() as captured:
        with treerings.step("llm", "router", model="gpt-4o") as outer:
            with treerings.step("llm", "first", model="gpt-4o") as first:
                first.set(usage=Usage(input_tokens=10, output_tokens=1))
            with treerings.step("llm", "second", model="gpt-4o", input="How old is the oak?") as second:
                second.set(output="Ninety.")
            outer.set(usage=Usage(input_tokens=10, output_tokens=1))
        counted = {step.name: step.counted for step in captured.steps}
    assert counted == {"router": False, "first": True, "second": True}
