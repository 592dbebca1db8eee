"""Labels and the current step."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable

import pytest
from treerings import context, current_step, labels, step
from treerings.context import OpenStep, innermost
from treerings.events import Kind
from treerings.testing import Capture

Register = Callable[..., None]


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


def an_open_step(id: str, parent: OpenStep | None = None, *, started: int = 0) -> OpenStep:
    workflow = parent.workflow_id if parent else id
    return OpenStep(id, workflow, parent, Kind.TASK, id, "test", started, True)


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


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """`register(step)`: a framework that has this step open around the running code; no other framework is asked."""
    monkeypatch.setattr(context, "_ambient", [])
    monkeypatch.setattr(context, "_on_stack", [])

    def add(step: OpenStep | None, *, on_stack: bool = False) -> None:
        context.add_ambient(lambda: step, on_stack=on_stack)

    return add


@pytest.mark.parametrize("related", [False, True], ids=["of other workflows", "of other branches"])
def test_of_steps_that_do_not_enclose_each_other_the_last_started_is_current(register: Register, related: bool) -> None:
    root = an_open_step("root") if related else None
    inherited, framework, entered = (an_open_step(name, root, started=n) for n, name in enumerate("abc", 1))
    register(framework)
    for own, current in ((inherited, framework), (entered, entered)):
        token = context.enter(own)
        assert current_step() is current
        assert context.step_around(lambda: None) is current
        context.leave(token)


def test_a_step_encloses_another_whatever_the_clock_says(register: Register) -> None:
    told_late = an_open_step("told late", started=9)
    inner = an_open_step("inner", told_late, started=1)
    register(told_late)
    token = context.enter(inner)
    assert current_step() is inner
    context.leave(token)
    register(inner)
    token = context.enter(told_late)
    assert current_step() is inner
    context.leave(token)


def test_the_order_in_which_frameworks_registered_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = an_open_step("a", started=1)
    inner = an_open_step("b", outer, started=2)
    steps = [outer, inner, an_open_step("c", an_open_step("d"), started=3)]
    for order in itertools.permutations(steps):
        monkeypatch.setattr(context, "_ambient", [lambda step=step: step for step in order])
        assert current_step() is steps[2]


def test_the_call_stack_goes_before_a_newer_step_that_it_does_not_lie_in(register: Register) -> None:
    reading = an_open_step("stream", an_open_step("run"), started=1)
    register(reading, on_stack=True)
    token = context.enter(an_open_step("own", started=2))
    assert current_step() is reading
    context.leave(token)


def test_inside_of_what_the_call_stack_says_the_inner_step_is_current(register: Register) -> None:
    reading = an_open_step("stream", started=1)
    inside = an_open_step("own", reading, started=2)
    register(reading, on_stack=True)
    register(None, on_stack=True)
    token = context.enter(inside)
    assert current_step() is inside
    context.leave(token)


def test_a_framework_that_looks_at_the_stack_may_ask_everybody_but_itself(register: Register) -> None:
    def lookup() -> OpenStep | None:
        return an_open_step("mine", started=5)

    context.add_ambient(lookup, on_stack=True)
    other = an_open_step("other")
    register(other)
    assert context.step_around(lookup) is other
