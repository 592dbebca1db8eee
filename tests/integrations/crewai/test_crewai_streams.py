"""Streams: the first token, an answer that is not read to its end, usage that is not told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crewai import Agent, Crew
from treerings.testing import Answer, Capture, ModelServer


def test_a_streamed_answer_has_the_time_of_its_first_token_and_its_usage(
    server: ModelServer,
    crew: Callable[..., Crew],
    agent: Callable[..., Agent],
    model: Callable[..., Any],
    captured: Capture,
) -> None:
    server.say("112 rings.", delay=0.05, chunk_delay=0.02)

    crew("Count.", worker=agent(llm=model(stream=True))).kickoff()

    call = captured.step("llm")
    assert 40 < call.first_token_ms < call.duration_ms
    assert call.usage.input_tokens == server.usage_served.input_tokens
    assert not call.estimated


def test_a_stream_without_usage_is_estimated_and_marked(
    server: ModelServer,
    crew: Callable[..., Crew],
    agent: Callable[..., Agent],
    model: Callable[..., Any],
    captured: Capture,
) -> None:
    server.reply(Answer("112 rings.", report_usage=False))

    crew("Count.", worker=agent(llm=model(stream=True))).kickoff()

    call = captured.step("llm")
    assert call.estimated
    assert call.usage.output_tokens > 0


def test_a_crew_that_streams_is_whole(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture
) -> None:
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")

    output = crew("Count.", tools=[ring_count], stream=True).kickoff()
    chunks = [chunk.content for chunk in output]

    assert "".join(chunks).endswith("112 rings.")
    assert captured.outline() == (
        "workflow crew\n"
        "  task Count.\n"
        "    agent forester\n"
        "      llm gpt-4o-mini\n"
        "      tool count_rings\n"
        "      llm gpt-4o-mini"
    )


def test_a_call_that_does_not_stream_has_no_first_token(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.")

    crew("Count.").kickoff()

    assert captured.step("llm").first_token_ms is None
