"""What tests use: captures, outlines, a clock that stands still, the fixtures."""

from __future__ import annotations

import pytest
import treerings
from treerings import ConfigError, Usage, runtime, step
from treerings.testing import Capture, DeterministicClock, capture, outline


def test_a_capture_holds_what_happened_inside_and_nothing_else() -> None:
    with capture() as outer:
        with step("task", "before"):
            pass
        with capture() as inner, step("task", "inside"):
            pass
        with step("task", "after"):
            pass
        assert outer.outline() == "task before\n\ntask after"
    assert inner.store.workflows()[0].name == "inside"


def test_the_recorder_before_is_back_after_a_capture_even_if_it_fails() -> None:
    before = treerings.current_recorder()
    with pytest.raises(ZeroDivisionError), capture():
        raise ZeroDivisionError
    assert runtime.current_recorder() is before


def test_one_workflow_is_expected_and_the_others_are_shown(treerings_capture: Capture) -> None:
    with pytest.raises(AssertionError, match="Expected one workflow, captured 0"):
        _ = treerings_capture.workflow
    for name in ("a", "b"):
        with step("task", name):
            pass
    with pytest.raises(AssertionError, match=r"Expected one workflow, captured 2.\ntask a\n\ntask b"):
        _ = treerings_capture.workflow


def test_one_step_is_expected_and_the_tree_is_shown(treerings_capture: Capture) -> None:
    with step("task", "a"), step("tool", "b"):
        pass
    with pytest.raises(AssertionError, match=r"Expected one tool x, captured 0.\ntask a\n  tool b"):
        treerings_capture.step("tool", "x")


def test_finish_closes_what_never_ended(treerings_capture: Capture) -> None:
    recorder = treerings_capture.recorder
    recorder.start(treerings.Kind.TASK, "open", source="test")
    assert treerings_capture.outline() == "task open running"
    treerings_capture.finish()
    assert treerings_capture.outline() == "task open incomplete"


def test_wrong_settings_of_a_capture_are_refused() -> None:
    with pytest.raises(ConfigError, match="Setting 'content' in the call"), capture(content="all"):
        pass
    with pytest.raises(ConfigError, match=r"Did you mean 'content'\?"), capture(contents="full"):
        pass


def test_ids_and_times_are_the_same_in_every_run(
    treerings_capture: Capture, treerings_clock: DeterministicClock
) -> None:
    with step("task", "a"):
        treerings_clock.advance(2)
    recorded = treerings_capture.step("task")
    assert recorded.id == f"{1:032x}"
    assert recorded.started_at.isoformat() == "2026-01-01T00:00:00.001000+00:00"
    assert recorded.duration_ms == 2001.0


def test_an_outline_shows_what_it_is_asked_for(treerings_capture: Capture) -> None:
    with step("agent", "planner"), step("llm", "ask", model="m") as call:
        call.set(usage=Usage(input_tokens=3), mood="good")
    shown = outline(treerings_capture.workflow, show=["agent", "model", "input_tokens", "mood"])
    assert shown == "agent planner agent=planner\n  llm ask agent=planner model=m input_tokens=3 mood=good"
    assert (
        outline(treerings_capture.workflow, show=lambda s: s.source, indent="-") == "agent planner user\n-llm ask user"
    )


def test_an_outline_leaves_plumbing_out_and_moves_its_children_up(treerings_capture: Capture) -> None:
    with step("agent", "a"), step("chain", "plumbing", attributes={"hidden": True}), step("tool", "t"):
        pass
    assert outline(treerings_capture.workflow) == "agent a\n  tool t"
    assert outline(treerings_capture.workflow, hidden=True) == "agent a\n  chain plumbing\n    tool t"
