"""The attempts that an SDK tells its own method are on the step of the call; nothing of it reaches the program."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from treerings import attempts, runtime
from treerings.context import enter, leave
from treerings.testing import Capture

around = attempts.attempts_noted("sdk")


def process(**told: Any) -> Any:
    return around(lambda *args, **kwargs: (args, kwargs), (), told)


def a_call(source: str = "sdk", kind: Any = "llm") -> Any:
    return runtime.current_recorder().start(kind, "ask", source=source)


def ended(step: Any) -> None:
    runtime.current_recorder().end(step)


def test_the_retries_of_a_call_are_its_attempt(treerings_capture: Capture) -> None:
    call = a_call()
    token = enter(call)
    assert process(retries_taken=2, options="o") == ((), {"retries_taken": 2, "options": "o"})
    leave(token)
    ended(call)
    assert treerings_capture.step("llm").attributes == {"attempt": 3}


def test_a_first_attempt_says_nothing(treerings_capture: Capture) -> None:
    call = a_call()
    token = enter(call)
    process(retries_taken=0)
    leave(token)
    ended(call)
    assert treerings_capture.step("llm").attributes == {}


@pytest.mark.parametrize(("source", "kind"), [("another", "llm"), ("sdk", "agent")])
def test_the_step_around_an_unrecorded_call_is_left_alone(treerings_capture: Capture, source: str, kind: str) -> None:
    step = a_call(source, kind)
    token = enter(step)
    process(retries_taken=2)
    leave(token)
    ended(step)
    assert treerings_capture.step(kind).attributes == {}


def test_an_error_tells_the_attempts_before_it(treerings_capture: Capture) -> None:
    call = a_call()
    error: Any = ConnectionError()
    error.request = SimpleNamespace(headers={attempts.RETRIES: "2"})
    attempts.note_given_up(call, error)
    attempts.note_given_up(call, ValueError("another library's"))
    ended(call)
    assert treerings_capture.step("llm").attributes == {"attempt": 3}


def test_a_bug_of_ours_does_not_cost_the_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attempts, "own_step", lambda: 1 / 0)
    assert process(retries_taken=1) == ((), {"retries_taken": 1})
    assert "attempts of a call" in caplog.text
