"""Switching on and off, waiting, and what may be said in the meantime."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from crewai import Crew
from crewai.events import CrewKickoffCompletedEvent, LLMCallStartedEvent, crewai_event_bus
from crewai.events.base_events import BaseEvent
from treerings.testing import Capture, ModelServer, capture
from treerings_crewai import integration
from treerings_crewai.listener import ASSEMBLER, _classes, _handler

RUN = "workflow crew\n  task Count.\n    agent forester\n      llm gpt-4o-mini"


def handlers() -> int:
    return sum(len(found) for found in crewai_event_bus._sync_handlers.values())


def test_twice_is_once_and_it_can_be_undone(server: ModelServer, crew: Callable[..., Crew], captured: Capture) -> None:
    server.say("112 rings.", times=None)
    before = handlers()
    integration.instrument()
    assert handlers() == before

    integration.uninstrument()
    crew("Count.").kickoff()
    assert captured.workflows == []

    integration.instrument()
    crew("Count.").kickoff()
    assert captured.outline() == RUN


def test_by_name_it_is_switched_on(server: ModelServer, crew: Callable[..., Crew], captured: Capture) -> None:
    server.say("112 rings.")

    assert treerings.instrument("crewai").enabled == ("crewai",)
    crew("Count.").kickoff()

    assert captured.outline() == RUN


def test_every_class_of_events_that_opens_or_closes_a_scope_has_a_handler() -> None:
    from crewai.events.event_context import SCOPE_ENDING_EVENTS, SCOPE_STARTING_EVENTS

    handled = {cls.model_fields["type"].default for cls in _classes() if _handler(cls) is not None}
    assert handled >= (SCOPE_STARTING_EVENTS | SCOPE_ENDING_EVENTS) - {"llm_guardrail_failed"}  # no class has that


def test_handlers_have_two_parameters_and_a_name() -> None:
    import inspect

    found = {handler for cls in _classes() if (handler := _handler(cls)) is not None}
    assert {len(inspect.signature(handler).parameters) for handler in found} == {2}
    assert all(handler.__name__ for handler in found)
    assert not any(inspect.iscoroutinefunction(handler) for handler in found)


def test_after_a_kickoff_a_flush_brings_the_whole_tree(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = threading.Event(), ASSEMBLER.ended

    def slow(recorder: Any, told: Any, end: Any) -> None:
        if told.type == "crew_kickoff_completed":
            assert began.wait(10)
        ended(recorder, told, end)

    monkeypatch.setattr(ASSEMBLER, "ended", slow)
    server.say("112 rings.")
    crew("Count.").kickoff()
    threading.Timer(0.1, began.set).start()

    captured.recorder.flush()

    assert captured.store.workflows()[0].status == "ok"


def test_a_crew_at_the_end_of_a_capture_is_whole_in_it(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = threading.Event(), ASSEMBLER.ended

    def slow(recorder: Any, told: Any, end: Any) -> None:
        if told.type == "crew_kickoff_completed":
            assert began.wait(10)
        ended(recorder, told, end)

    monkeypatch.setattr(ASSEMBLER, "ended", slow)
    server.say("112 rings.")
    with capture() as inner:
        crew("Count.").kickoff()
        threading.Timer(0.1, began.set).start()

    assert inner.store.workflows()[0].status == "ok"
    assert captured.workflows == []


def test_a_flush_waits_for_events_that_others_handle_asynchronously_too(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def theirs(source: Any, event: Any) -> None:
        return None

    began, ended = threading.Event(), ASSEMBLER.ended

    def slow(recorder: Any, told: Any, end: Any) -> None:
        if told.type == "crew_kickoff_completed":
            assert began.wait(10)
        ended(recorder, told, end)

    monkeypatch.setattr(ASSEMBLER, "ended", slow)
    crewai_event_bus.register_handler(CrewKickoffCompletedEvent, theirs)
    try:
        server.say("112 rings.")
        crew("Count.").kickoff()
        threading.Timer(0.1, began.set).start()
        captured.recorder.flush()
    finally:
        crewai_event_bus.off(CrewKickoffCompletedEvent, theirs)

    assert captured.store.workflows()[0].status == "ok"


def test_a_flush_comes_back_in_time_when_a_handler_does_not(captured: Capture) -> None:
    done = threading.Event()

    class Slow(BaseEvent):
        type: str = "slow"

    def theirs(source: Any, event: Any) -> None:
        done.wait(30)

    crewai_event_bus.register_handler(Slow, theirs)
    try:
        crewai_event_bus.emit(None, Slow())
        captured.recorder.flush(0.05)
    finally:
        done.set()
        crewai_event_bus.off(Slow, theirs)


def test_a_flush_in_a_handler_comes_back(server: ModelServer, crew: Callable[..., Crew], captured: Capture) -> None:
    reports = []

    def theirs(source: Any, event: Any) -> None:
        reports.append(captured.recorder.flush())

    crewai_event_bus.register_handler(LLMCallStartedEvent, theirs)
    try:
        server.say("112 rings.")
        crew("Count.").kickoff()
    finally:
        crewai_event_bus.off(LLMCallStartedEvent, theirs)

    assert len(reports) == 1
    assert captured.outline() == RUN


def test_what_runs_where_others_set_all_handlers_aside_is_not_seen_and_what_follows_is(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.", times=None)

    with crewai_event_bus.scoped_handlers():
        crew("Hidden.").kickoff()
    crew("Count.").kickoff()

    assert captured.outline() == RUN


def test_replayed_events_are_not_recorded_again(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    events: list[tuple[Any, Any]] = []

    def theirs(source: Any, event: Any) -> None:
        events.append((source, event))

    crewai_event_bus.register_handler(LLMCallStartedEvent, theirs)
    server.say("112 rings.")
    crew("Count.").kickoff()
    crewai_event_bus.flush()
    crewai_event_bus.off(LLMCallStartedEvent, theirs)

    again = events[0][1].model_copy(update={"event_id": "again", "call_id": "again"})
    crewai_event_bus.replay(events[0][0], again)

    assert captured.outline() == RUN


def test_while_recording_is_off_nothing_is_kept(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.")
    captured.recorder.enabled = False

    crew("Count.").kickoff()
    crewai_event_bus.flush()

    assert len(ASSEMBLER.scopes) == 0


def test_a_failure_of_ours_is_logged_once_and_the_crew_runs_on(
    server: ModelServer,
    crew: Callable[..., Crew],
    captured: Capture,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("treerings_crewai.listener._reported", set())
    monkeypatch.setattr(ASSEMBLER, "started", broken)
    server.say("112 rings.", times=None)

    assert str(crew("First.", "Second.").kickoff()) != ""
    crewai_event_bus.flush()

    messages = [record.getMessage() for record in caplog.records if record.name == "treerings"]
    assert messages.count("An event of CrewAI could not be recorded: task_started") == 1


def test_the_probe_is_recorded_whole(captured: Capture) -> None:
    from treerings.cli import probes

    server_answer = getattr(probes, "_answer", None)
    with ModelServer(default=server_answer or "112 rings.") as server:
        integration.probe(server.base_url)
    assert captured.outline().startswith("workflow crew\n  task How old is the oak?\n    agent forester\n      llm")
