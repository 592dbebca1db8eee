"""ModelServer answers the Responses API."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from treerings.testing.model_script import Answer
from treerings.testing.model_server import ModelServer


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="unused") as client:
        yield client


def kinds(client: OpenAI) -> list[str]:
    with client.responses.create(model="m", input="How old?", stream=True) as stream:
        return [kind for kind, _ in groupby(event.type.removeprefix("response.") for event in stream)]


def test_a_response_has_text_and_usage(server: ModelServer, client: OpenAI) -> None:
    server.say(
        "Ninety.", usage={"input_tokens": 40, "output_tokens": 9, "cache_read_tokens": 30, "reasoning_tokens": 7}
    )

    response = client.responses.create(model="m", input="How old?")

    assert response.output_text == "Ninety."
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (40, 9)
    assert response.usage.input_tokens_details.cached_tokens == 30
    assert response.usage.output_tokens_details.reasoning_tokens == 7


def test_a_function_call_is_an_output_item(server: ModelServer, client: OpenAI) -> None:
    server.call_tool("measure", {"tree": "oak"})

    [item] = client.responses.create(model="m", input="How old?").output

    assert item.type == "function_call"
    assert (item.name, item.arguments) == ("measure", '{"tree": "oak"}')


def test_text_is_streamed_in_the_order_of_events_that_openai_has(server: ModelServer, client: OpenAI) -> None:
    server.say("Ninety years old.")

    assert kinds(client) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_a_function_call_is_streamed_with_its_arguments_in_deltas(server: ModelServer, client: OpenAI) -> None:
    server.call_tool("measure", {"tree": "an old oak"})

    assert kinds(client)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]


def test_reasoning_is_streamed_before_the_message(server: ModelServer, client: OpenAI) -> None:
    server.reply(Answer("Ninety.", reasoning="Count the rings."))

    assert kinds(client)[2:8] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]


def test_events_are_numbered(server: ModelServer, client: OpenAI) -> None:
    server.say("Ninety years.")

    with client.responses.create(model="m", input="How old?", stream=True) as stream:
        numbers = [event.sequence_number for event in stream]

    assert numbers == list(range(len(numbers)))


def test_the_last_event_of_a_stream_reports_usage(server: ModelServer, client: OpenAI) -> None:
    server.say("Ninety.", usage={"input_tokens": 40, "output_tokens": 9})

    with client.responses.stream(model="m", input="How old?") as stream:
        final: Any = stream.get_final_response()

    assert (final.usage.input_tokens, final.usage.output_tokens) == (40, 9)
    assert (server.usage_served.input_tokens, server.usage_served.calls) == (40, 1)


def test_an_answer_cut_by_its_length_is_incomplete(server: ModelServer, client: OpenAI) -> None:
    server.reply(Answer("Nine", finish_reason="length"))

    response = client.responses.create(model="m", input="How old?")

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_structured_output_is_parsed_by_the_async_client(server: ModelServer) -> None:
    class Age(BaseModel):
        years: int

    server.say({"years": 90})

    async with AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:
        response = await client.responses.parse(model="m", input="How old?", text_format=Age)

    assert response.output_parsed == Age(years=90)


def test_a_route_sees_function_results_in_the_input(server: ModelServer, client: OpenAI) -> None:
    server.when(tool_result="90").say("Ninety years.")
    history: Any = [
        {"role": "user", "content": "How old?"},
        {"type": "function_call", "call_id": "c1", "name": "measure", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "90 rings"},
    ]

    assert client.responses.create(model="m", input=history).output_text == "Ninety years."
