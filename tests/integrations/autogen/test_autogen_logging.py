"""A13: AutoGen's event log is heard, and the program's logging is as it was."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core import EVENT_LOGGER_NAME
from treerings.testing import Capture, ModelServer
from treerings_autogen import integration
from treerings_autogen.events import stop_listening


class Handler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def root() -> Iterator[Handler]:
    handler = Handler()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def events() -> Iterator[logging.Logger]:
    """The event logger without us, as the program finds it."""
    integration.uninstrument()
    logger = logging.getLogger(EVENT_LOGGER_NAME)
    yield logger
    integration.uninstrument()
    logger.setLevel(logging.NOTSET)


def run(server: ModelServer, client: Callable[..., Any]) -> None:
    server.say("112")
    asyncio.run(AssistantAgent("ann", client()).run(task="How old?"))


def heard(handler: Handler) -> list[str]:
    return [type(record.msg).__name__ for record in handler.records if record.name == EVENT_LOGGER_NAME]


def test_events_do_not_reach_the_programs_handlers(
    server: ModelServer, client: Callable[..., Any], captured: Capture, root: Handler, events: logging.Logger
) -> None:
    integration.instrument()

    run(server, client)

    assert heard(root) == []
    assert captured.step("llm").attributes["response_id"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_program_that_listens_itself_hears_every_event_once(
    server: ModelServer,
    client: Callable[..., Any],
    captured: Capture,
    root: Handler,
    events: logging.Logger,
    when: str,
) -> None:
    if when == "before":
        events.setLevel(logging.INFO)
    integration.instrument()
    if when == "after":
        events.setLevel(logging.INFO)

    run(server, client)

    assert heard(root) == ["LLMCallEvent"]
    assert captured.step("llm").attributes["response_id"]


def test_a_level_of_a_parent_logger_counts(
    server: ModelServer, client: Callable[..., Any], captured: Capture, root: Handler, events: logging.Logger
) -> None:
    integration.instrument()
    logging.getLogger("autogen_core").setLevel(logging.INFO)

    run(server, client)

    assert "LLMCallEvent" in heard(root)


def test_a_level_that_the_program_sets_later_is_kept(events: logging.Logger) -> None:
    integration.instrument()
    events.setLevel(logging.ERROR)
    integration.uninstrument()

    assert events.level == logging.ERROR


def test_without_events_the_calls_are_recorded_all_the_same(
    server: ModelServer, client: Callable[..., Any], captured: Capture, events: logging.Logger
) -> None:
    integration.instrument()
    stop_listening()

    run(server, client)

    usage = captured.step("llm").usage
    assert usage is not None
    assert usage.input_tokens == server.usage_served.input_tokens


def test_logging_that_is_switched_off_does_not_matter(
    server: ModelServer, client: Callable[..., Any], captured: Capture, events: logging.Logger
) -> None:
    integration.instrument()
    logging.disable(logging.CRITICAL)
    try:
        run(server, client)
    finally:
        logging.disable(logging.NOTSET)

    assert captured.step("llm").attributes["response_id"]


def test_a_record_names_autogens_line_not_ours(
    server: ModelServer, client: Callable[..., Any], captured: Capture, root: Handler, events: logging.Logger
) -> None:
    events.setLevel(logging.INFO)
    integration.instrument()

    run(server, client)

    assert [record.filename for record in root.records if record.name == EVENT_LOGGER_NAME] == ["_openai_client.py"]


def test_the_logger_is_as_the_program_left_it(events: logging.Logger) -> None:
    def state() -> tuple[Any, ...]:
        return (events.handlers[:], events.filters[:], events.level, events.propagate, events.disabled)

    before, info = state(), events.info

    integration.instrument()
    integration.instrument()
    assert state() == before
    integration.uninstrument()

    assert state() == before
    assert events.info == info
    assert "info" not in vars(events)
