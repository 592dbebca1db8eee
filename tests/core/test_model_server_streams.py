"""ModelServer streams chat completions as OpenAI does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from treerings.testing.model_script import Answer
from treerings.testing.model_server import ModelServer

MESSAGES: list[Any] = [{"role": "user", "content": "How old is this oak?"}]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        yield client


def chunks(client: OpenAI, **options: Any) -> list[Any]:
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **options) as stream:
        return list(stream)


def test_text_is_streamed_in_words(server: ModelServer, client: OpenAI) -> None:
    server.say("About ninety years.")

    assert [chunk.choices[0].delta.content for chunk in chunks(client)] == ["", "About ", "ninety ", "years.", None]


def test_only_the_last_chunk_has_a_finish_reason(server: ModelServer, client: OpenAI) -> None:
    server.say("Ninety.")

    assert [chunk.choices[0].finish_reason for chunk in chunks(client)] == [None, None, "stop"]


def test_the_arguments_of_a_tool_call_are_split_over_chunks(server: ModelServer, client: OpenAI) -> None:
    server.call_tool("measure", {"tree": "a very old oak"})

    deltas = [call for chunk in chunks(client) for call in chunk.choices[0].delta.tool_calls or ()]

    assert (deltas[0].id, deltas[0].function.name, deltas[0].function.arguments) == ("call_000001_0", "measure", "")
    assert len(deltas) > 3
    assert json.loads("".join(delta.function.arguments for delta in deltas)) == {"tree": "a very old oak"}


def test_the_deltas_of_several_tool_calls_carry_their_index(server: ModelServer, client: OpenAI) -> None:
    server.call_tools([("measure", {}), ("clock", {})])

    deltas = [call for chunk in chunks(client) for call in chunk.choices[0].delta.tool_calls or ()]

    assert [(delta.index, delta.function.name) for delta in deltas if delta.id] == [(0, "measure"), (1, "clock")]


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(server: ModelServer, client: OpenAI) -> None:
    server.say("Ninety.", usage={"input_tokens": 40, "output_tokens": 9})

    *before, last = chunks(client, stream_options={"include_usage": True})

    assert [chunk.usage for chunk in before] == [None] * len(before)
    assert (last.choices, last.usage.prompt_tokens, last.usage.completion_tokens) == ([], 40, 9)


def test_usage_is_not_told_when_it_is_not_asked_for(server: ModelServer, client: OpenAI) -> None:
    server.say("Ninety.")

    assert all(chunk.usage is None for chunk in chunks(client))
    assert (server.usage_served.calls, server.usage_served.calls_without_usage) == (1, 1)
    assert server.usage_served.total_tokens == 0


def test_choices_are_streamed_with_their_index(server: ModelServer, client: OpenAI) -> None:
    server.reply(Answer("one", alternatives=["two"]))

    texts = ["", ""]
    for chunk in chunks(client, n=2):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""

    assert texts == ["one", "two"]


def test_a_refusal_is_streamed(server: ModelServer, client: OpenAI) -> None:
    server.reply(Answer(refusal="I cannot."))

    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks(client)) == "I cannot."


def test_legacy_completions_are_streamed(server: ModelServer, client: OpenAI) -> None:
    server.say("very old wood")

    with client.completions.create(model="m", prompt="An oak is", stream=True) as stream:
        text = "".join(chunk.choices[0].text for chunk in stream)

    assert text == "very old wood"


def test_the_pause_between_chunks_is_kept(server: ModelServer, client: OpenAI) -> None:
    server.say("one two three", chunk_delay=0.02)  # 6 chunks with the closing ones: 5 pauses

    start = time.perf_counter()
    chunks(client)

    assert time.perf_counter() - start >= 0.1


def test_the_first_chunk_arrives_before_the_last_is_due(server: ModelServer, client: OpenAI) -> None:
    server.say("one two", chunk_delay=30)

    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        first = next(iter(stream))

    assert first.choices[0].delta.role == "assistant"


def test_a_delay_holds_every_answer_back(server: ModelServer, client: OpenAI) -> None:
    server.delay(0.05).say("late")

    start = time.perf_counter()
    chunks(client)

    assert time.perf_counter() - start >= 0.05


async def test_a_client_that_stops_reading_leaves_the_server_working(server: ModelServer) -> None:
    server.say("one two three four", chunk_delay=0.01).say("next")

    async with AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async for _ in stream:
            break
        await stream.close()
        completion = await client.chat.completions.create(model="m", messages=MESSAGES)

    assert completion.choices[0].message.content == "next"
