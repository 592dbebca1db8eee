"""A streamed answer is recorded on its way: the stream stays what it is, and is read by the program alone."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from anthropic import Anthropic, APIStatusError, AsyncStream, Stream
from anthropic_answers import ASK, MODEL, events, streamed, text, tool_use
from treerings.testing import Capture, ModelServer, capture

THINKING = {"type": "thinking", "thinking": "An oak.", "signature": "s"}
WHOLE = "llm messages input_tokens=140 output_tokens=7 cache_read_tokens=100 cache_write_1h_tokens=10"
SHOWN = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_1h_tokens")


def test_a_stream_is_one_call_with_what_it_said(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([streamed(THINKING, text("Counting."), tool_use(tree="oak"))])

    stream = client.messages.create(**ASK, stream=True)
    taken = [event.type for event in stream]

    assert type(stream) is Stream
    assert taken == [
        one["type"] for one in events(THINKING, text("Counting."), tool_use(tree="oak")) if one["type"] != "ping"
    ]
    step = captured.step("llm")
    assert captured.outline(show=SHOWN) == WHOLE
    assert step.output == {
        "role": "assistant",
        "content": "Counting.",
        "reasoning": "An oak.",
        "tool_calls": [{"id": "toolu_1", "name": "ring_count", "args": {"tree": "oak"}}],
    }
    assert (step.model, step.attributes["finish_reason"], step.estimated) == (MODEL, "tool_use", False)
    assert step.first_token_ms is not None


def test_an_asynchronous_stream_is_one_call(server: ModelServer, run: Callable[..., Any], captured: Capture) -> None:
    server.play([streamed()])

    async def ask(client: Any) -> Any:
        stream = await client.messages.create(**ASK, stream=True)
        async for _ in stream:
            pass
        return stream

    assert type(run(ask)) is AsyncStream
    assert captured.outline(show=SHOWN) == WHOLE


@pytest.mark.parametrize("how", ["events", "text_stream", "get_final_message", "get_final_text", "until_done"])
def test_the_stream_helper_is_one_call(server: ModelServer, client: Anthropic, captured: Capture, how: str) -> None:
    server.play([streamed()])

    with client.messages.stream(**ASK) as stream:
        if how == "events":
            assert [event.text for event in stream if event.type == "text"] == ["112 r", "ings."]
        elif how == "text_stream":
            assert list(stream.text_stream) == ["112 r", "ings."]
        elif how == "get_final_message":
            message = stream.get_final_message()
            assert (message.content[0].text, message.usage.output_tokens) == ("112 rings.", 7)
        elif how == "get_final_text":
            assert stream.get_final_text() == "112 rings."
        else:
            stream.until_done()

    assert captured.outline(show=SHOWN) == WHOLE


@pytest.mark.parametrize("interface", ["messages", "beta"])
def test_the_asynchronous_stream_helper_is_one_call(
    server: ModelServer, run: Callable[..., Any], captured: Capture, interface: str
) -> None:
    server.play([streamed()])

    async def ask(client: Any) -> str:
        messages = client.messages if interface == "messages" else client.beta.messages
        async with messages.stream(**ASK) as stream:
            parts = [part async for part in stream.text_stream]
            return "".join(parts) + str((await stream.get_final_message()).usage.output_tokens)

    assert run(ask) == "112 rings.7"
    assert captured.outline(show=SHOWN) == WHOLE


def test_a_helper_that_is_never_entered_records_nothing(client: Anthropic, captured: Capture) -> None:
    client.messages.stream(**ASK)

    assert captured.steps == []


def test_a_stream_that_is_not_read_on_is_not_read_for_it(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed()])

    stream = client.messages.create(**ASK, stream=True)
    first = next(stream)

    assert first.type == "message_start"
    assert captured.step("llm").status == "running"
    assert [event.type for event in stream][-1] == "message_stop"
    assert captured.outline(show=SHOWN) == WHOLE


@pytest.mark.parametrize("how", ["close", "with", "response"])
def test_a_stream_that_is_closed_early_keeps_what_is_known(
    server: ModelServer, client: Anthropic, captured: Capture, how: str
) -> None:
    server.play([streamed(text("112 rings, or a few more than that."))])

    stream = client.messages.create(**ASK, stream=True)
    if how == "with":
        with stream:
            take(stream, 3)
    else:
        take(stream, 3)
        (stream if how == "close" else stream.response).close()

    step = captured.step("llm")
    assert (step.status, step.usage.input_tokens, step.usage.cache_read_tokens) == ("cancelled", 140, 100)
    assert step.output == {"role": "assistant", "content": "112 rings, or a f"}
    assert step.estimated
    assert step.usage.output_tokens > 1


def test_a_helper_that_is_left_early_keeps_what_is_known(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed()])

    with client.messages.stream(**ASK) as stream:
        next(stream.text_stream)

    assert captured.outline(show=("input_tokens",)) == "llm messages cancelled input_tokens=140"


def test_a_stream_that_nobody_holds_any_more_is_cancelled(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed()])

    stream = client.messages.create(**ASK, stream=True)
    take(stream, 3)
    del stream
    gc.collect()
    captured.finish()

    assert captured.outline(show=("input_tokens",)) == "llm messages cancelled input_tokens=140"


def test_leaving_a_stream_after_its_last_count_cancels_nothing(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed()])

    with client.messages.create(**ASK, stream=True) as stream:
        for event in stream:
            if event.type == "message_delta":
                break

    assert captured.outline(show=SHOWN) == WHOLE


def test_a_provider_that_breaks_off_is_an_error_with_what_is_known(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed(cut=4)])

    with pytest.raises(APIStatusError), client.messages.create(**ASK, stream=True) as stream:
        list(stream)

    step = captured.step("llm")
    assert (step.status, step.error_type, step.usage.input_tokens) == ("error", "APIStatusError", 140)
    assert step.output == {"role": "assistant", "content": "112 r"}


def test_the_programs_own_error_while_it_reads_leaves_the_stream(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed()])

    def read(stream: Any) -> None:
        with stream:
            for _ in stream:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read(client.messages.create(**ASK, stream=True))

    assert captured.outline() == "llm messages cancelled"


def test_a_cancelled_task_cancels_its_call(server: ModelServer, run: Callable[..., Any], captured: Capture) -> None:
    server.play([streamed()])

    async def ask(client: Any) -> None:
        async with client.messages.stream(**ASK) as stream:
            await anext(stream.text_stream)
            reading.set()
            await asyncio.sleep(30)

    async def stopped(client: Any) -> None:
        task = asyncio.create_task(ask(client))
        await reading.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    reading = asyncio.Event()
    run(stopped)

    assert captured.outline(show=("input_tokens",)) == "llm messages cancelled input_tokens=140"


def test_a_request_that_is_cancelled_cancels_its_call(
    server: ModelServer, run: Callable[..., Any], captured: Capture
) -> None:
    asked, answering = threading.Event(), threading.Event()

    def answer(_: Any) -> str:
        asked.set()
        answering.wait(30)
        return "never said"

    async def stopped(client: Any) -> None:
        task = asyncio.create_task(client.messages.create(**ASK))
        await asyncio.to_thread(asked.wait, 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answering.set()

    server.when(endpoint="messages").reply(answer)
    run(stopped)

    assert captured.outline() == "llm messages cancelled"


def test_what_runs_while_a_stream_is_read_is_not_below_it(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed()])

    with treerings.step("agent", "forester"), client.messages.stream(**ASK) as stream:
        for _ in stream.text_stream:
            with treerings.step("tool", "print"):
                pass

    assert captured.outline() == "agent forester\n  llm messages\n  tool print\n  tool print"


def test_raw_events_are_what_they_are_without_us(server: ModelServer, client: Anthropic) -> None:
    server.play([streamed(THINKING, tool_use(tree="oak")), streamed(THINKING, tool_use(tree="oak"))])
    before = [event.to_dict() for event in client.messages.create(**ASK, stream=True)]

    with capture():
        treerings.instrument("anthropic")
        after = [event.to_dict() for event in client.messages.create(**ASK, stream=True)]
        treerings.uninstrument("anthropic")

    assert after == before


def take(stream: Any, number: int) -> None:
    for _ in range(number):
        next(stream)
