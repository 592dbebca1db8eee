"""Labels and the current step."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from treerings import context, current_step, labels, step
from treerings.context import OpenStep, innermost
from treerings.events import Kind
from treerings.testing import Capture


def test_every_step_inside_carries_the_labels(treerings_capture: Capture) -> None:
    with labels(session_id="s", user_id="u", tenant_id="t", team="growth"), step("workflow", "a"), step("tool", "b"):
        pass
    assert {(s.session_id, s.user_id, s.tenant_id, s.labels["team"]) for s in treerings_capture.steps} == {
        ("s", "u", "t", "growth")
    }


def test_inner_labels_win_and_end_with_their_block(treerings_capture: Capture) -> None:
    with labels(team="a", plan="x"):
        with labels(team="b"), step("task", "inner"):
            pass
        with step("task", "after"):
            pass
    assert [s.labels for s in treerings_capture.steps] == [{"team": "b", "plan": "x"}, {"team": "a", "plan": "x"}]


def test_labels_that_begin_inside_a_step_are_on_what_follows_only(treerings_capture: Capture) -> None:
    with step("workflow", "a"), labels(team="x"), step("tool", "b"):
        pass
    assert [s.labels for s in treerings_capture.steps] == [{}, {"team": "x"}]


def test_none_leaves_a_dimension_as_it_is(treerings_capture: Capture) -> None:
    with labels(user_id="u"), labels(user_id=None, team="a"), step("task", "work"):
        pass
    assert treerings_capture.step("task").user_id == "u"


def test_values_become_bounded_text(treerings_capture: Capture) -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with labels(user_id=7, flag=True, long="x" * 5_000, mute=Mute()), step("task", "work"):  # type: ignore[arg-type]
        pass
    recorded = treerings_capture.step("task")
    assert recorded.user_id == "7"
    assert recorded.labels == {
        "flag": "True",
        "long": "x" * 1_000,
        "mute": "<test_values_become_bounded_text.<locals>.Mute>",
    }


def test_labels_are_not_another_threads(treerings_capture: Capture) -> None:
    def work() -> None:
        with step("task", "elsewhere"):
            pass

    with labels(team="a"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert treerings_capture.step("task").labels == {}


async def test_labels_of_concurrent_tasks_stay_apart(treerings_capture: Capture) -> None:
    async def work(name: str) -> None:
        with labels(user_id=name):
            await asyncio.sleep(0)
            with step("task", name):
                await asyncio.sleep(0)

    await asyncio.gather(work("a"), work("b"))
    assert {s.name: s.user_id for s in treerings_capture.steps} == {"a": "a", "b": "b"}


def test_labels_left_in_another_context_raise_nothing() -> None:
    block = labels(team="a")
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)


def test_an_error_inside_labels_goes_on() -> None:
    with pytest.raises(ValueError, match="x"), labels(team="a"):
        raise ValueError("x")


def an_open_step(id: str, parent: OpenStep | None = None) -> OpenStep:
    workflow = parent.workflow_id if parent else id
    return OpenStep(id, workflow, parent, Kind.TASK, id, "test", 0, True)


def test_the_current_step_is_the_nearest_that_has_not_ended(treerings_capture: Capture) -> None:
    assert current_step() is None
    with step("workflow", "outer"), step("task", "inner"):
        inner = current_step()
        assert inner is not None
        inner.ended = True
        outer = current_step()
        assert outer is not None
        assert outer.name == "outer"


def test_of_two_steps_the_inner_one_is_innermost() -> None:
    outer = an_open_step("a")
    inner = an_open_step("b", an_open_step("m", outer))
    assert innermost(outer, inner) is innermost(inner, outer) is inner
    assert innermost(None, inner) is innermost(inner, None) is inner


def test_of_unrelated_steps_the_first_is_taken() -> None:
    first, second = an_open_step("a"), an_open_step("b")
    assert innermost(first, second) is first


def test_a_framework_may_ask_everybody_but_itself_for_the_step_around(
    treerings_capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = treerings_capture.recorder
    outer = recorder.start(Kind.TOOL, "outer", source="a")
    inner = recorder.start(Kind.TOOL, "inner", source="b", parent=outer)
    monkeypatch.setattr(context, "_ambient", [])
    own, others = (lambda: inner), (lambda: outer)
    context.add_ambient(own)
    context.add_ambient(others)

    assert current_step() is inner
    assert context.step_around(own) is outer
