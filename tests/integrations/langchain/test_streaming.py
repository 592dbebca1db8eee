"""Streams: their usage where it is reported, an estimate where it is not, and what came before a cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from treerings.testing import Capture, ModelServer

Make = Callable[..., Any]
QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


async def drained(stream: Any) -> list[Any]:
    return [item async for item in stream]


def test_a_stream_with_usage_has_the_tokens_served(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("one ring for each year")

    list(model(stream_usage=True).stream("How old?", traced))

    step = captured.step("llm")
    assert not step.estimated
    assert step.usage is not None
    assert step.usage.output_tokens == server.usage_served.output_tokens == 5


def test_a_stream_without_usage_is_estimated(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("one ring for each year")

    asyncio.run(drained(model(stream_usage=False).astream("How old?", traced)))

    step = captured.step("llm")
    assert server.usage_served.calls_without_usage == 1
    assert step.estimated
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) != (0, 0)


def test_a_streamed_answer_is_one_whole_message(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("one ring for each year")

    list(model(stream_usage=True).stream("How old?", traced))

    assert captured.step("llm").output == {"role": "assistant", "content": "one ring for each year"}


@pytest.mark.parametrize("stream_usage", [True, False])
def test_messages_mode_of_a_graph_is_marked_where_usage_goes_missing(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any], stream_usage: bool
) -> None:
    server.say("Ninety.")

    list(create_agent(model(stream_usage=stream_usage)).stream(QUESTION, traced, stream_mode="messages"))

    assert captured.step("llm").estimated is not stream_usage
    assert captured.workflow.totals.llm_calls == 1


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_streamed_events_count_a_call_once(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any], version: Any
) -> None:
    server.say("Ninety.")

    asyncio.run(drained(create_agent(model(stream_usage=True)).astream_events(QUESTION, traced, version=version)))

    assert captured.workflow.totals.output_tokens == server.usage_served.output_tokens
    assert captured.workflow.totals.llm_calls == 1


def test_both_streaming_protocols_at_once_count_a_call_once(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("one ring for each year")

    list(model(stream_usage=True).stream_events("How old?", traced, version="v3"))

    step = captured.step("llm")
    assert step.first_token_ms is not None
    assert captured.workflow.totals.output_tokens == server.usage_served.output_tokens


def test_a_stream_that_breaks_keeps_what_came(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.drop(after_chunks=4, text="one ring for each year")

    with pytest.raises(Exception, match=r"."):
        list(model(stream_usage=True).stream("How old?", traced))

    step = captured.step("llm")
    assert step.status == "error"
    assert "one ring" in step.output["content"]
    assert step.estimated


def test_a_streamed_tool_call_keeps_its_arguments(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("measure", {"tree": "oak"})

    list(model(stream_usage=True).stream("How old?", traced))

    assert captured.step("llm").output["tool_calls"][0]["args"] == {"tree": "oak"}
