"""Caretakers, asked while steps are open and before the last are closed; drains, waited for before a flush."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
from treerings import Kind, Recorder, Status
from treerings.recorder import add_caretaker, add_drain
from treerings.testing import Capture, capture


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Capture]:
    monkeypatch.setattr(import_module("treerings.recorder"), "_caretakers", [])
    monkeypatch.setattr(import_module("treerings.recorder"), "_drains", [])
    with capture() as captured:
        yield captured


def test_a_caretaker_ends_a_step_before_it_is_closed_by_rule(captured: Capture) -> None:
    step = captured.recorder.start(Kind.LLM, "model", source="test")
    add_caretaker(lambda recorder: recorder.end(step, status=Status.CANCELLED))

    captured.finish()

    assert captured.outline() == "llm model cancelled"


def test_a_caretaker_that_fails_does_not_keep_others_from_their_work(
    captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Recorder] = []

    def fails(recorder: Recorder) -> None:
        raise RuntimeError("broken")

    add_caretaker(fails)
    add_caretaker(asked.append)
    captured.recorder.start(Kind.LLM, "model", source="test")

    captured.finish()

    assert asked
    assert captured.outline() == "llm model incomplete"
    assert "A caretaker failed" in caplog.text


def test_a_caretaker_is_added_once(captured: Capture) -> None:
    asked: list[Recorder] = []
    look = asked.append
    add_caretaker(look)
    add_caretaker(look)

    captured.recorder.settle()

    assert len(asked) == 1


@pytest.mark.parametrize("act", ["flush", "settle", "close"])
def test_what_a_drain_brings_is_in_the_same_flush(captured: Capture, act: str) -> None:
    add_drain(lambda seconds: captured.recorder.end(captured.recorder.start(Kind.TOOL, "late", source="test")))

    report = getattr(captured.recorder, act)()

    assert report.stored == 1


def test_a_drain_is_told_how_long_the_caller_waits(captured: Capture) -> None:
    told: list[float | None] = []
    wait = told.append
    add_drain(wait)
    add_drain(wait)

    captured.recorder.flush(1.5)

    assert told == [1.5]


def test_a_drain_that_fails_does_not_keep_a_flush_from_its_work(
    captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(seconds: float | None) -> None:
        raise RuntimeError("broken")

    add_drain(fails)
    captured.recorder.end(captured.recorder.start(Kind.TOOL, "search", source="test"))

    assert captured.recorder.flush().stored == 1
    assert "A drain failed" in caplog.text
