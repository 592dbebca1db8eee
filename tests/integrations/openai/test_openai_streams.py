"""Streamed answers of OpenAI's SDK: followed while the program reads them, whatever it makes of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from typing import Any

import openai
import pytest
import treerings
from openai import AsyncOpenAI, OpenAI
from openai_asking import Answering, Asking
from treerings.testing import Answer, Capture, Drop, ModelServer, ToolCall

MESSAGES: list[Any] = [{"role": "user", "content": "How old is the oak?"}]
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True}
WITH_USAGE: dict[str, Any] = {**CHAT, "stream_options": {"include_usage": True}}
EVENTS = {"content-type": "text/event-stream"}


def sse(*events: Any) -> bytes:
    lines = []
    for event in events:
        name = f"event: {event['type']}\n" if "type" in event else ""
        lines.append(f"{name}data: {json.dumps(event)}\n\n")
    return "".join(lines).encode()


def test_a_stream_with_usage_reports_it(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.say("It is 112 years old.")
    ask("chat.completions.create", **WITH_USAGE)
    step = captured.step("llm")
    assert (step.status, step.output) == ("ok", {"role": "assistant", "content": "It is 112 years old."})
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) == (
        server.usage_served.input_tokens,
        server.usage_served.output_tokens,
    )
    assert not step.estimated
    assert step.attributes["finish_reason"] == "stop"
    assert step.first_token_ms is not None
    assert step.duration_ms is not None
    assert step.first_token_ms <= step.duration_ms


def test_a_stream_without_usage_is_estimated(captured: Capture, ask: Asking) -> None:
    ask("chat.completions.create", **CHAT)
    step = captured.step("llm")
    assert step.estimated
    assert step.usage is not None
    assert step.usage.output_tokens


def test_tool_calls_of_a_stream_are_put_together(captured: Capture, ask: Asking, server: ModelServer) -> None:
    calls = [ToolCall("ring_count", {"tree": "oak"}), ToolCall("ring_count", {"tree": "elm"})]
    server.reply(Answer(tool_calls=calls))
    server.reply(Answer(tool_calls=calls))
    ask("chat.completions.create", **WITH_USAGE)
    ask("responses.create", model="gpt-4o-mini", input="How old?", stream=True)
    for step in captured.steps:
        assert [call["args"] for call in step.output["tool_calls"]] == [{"tree": "oak"}, {"tree": "elm"}]
        assert step.first_token_ms is not None


def test_choices_of_a_stream_are_told_apart(captured: Capture, answering: Answering) -> None:
    def delta(index: int, text: str | None, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": reason}
        return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [choice]}

    body = sse(
        delta(1, "B"), delta(0, "A"), delta(0, "a"), delta(1, "b"), delta(0, None, "stop"), delta(1, None, "stop")
    )
    answering(content=body + b"data: [DONE]\n\n", headers=EVENTS)("chat.completions.create", **CHAT)
    assert [message["content"] for message in captured.step("llm").output] == ["Aa", "Bb"]


def test_usage_that_every_chunk_repeats_is_not_added_up(captured: Capture, answering: Answering) -> None:
    chunks = [
        {"id": "c", "model": "grok-4", "choices": [{"index": 0, "delta": {"content": "x", "reasoning_content": "r"}}],
         "usage": {"prompt_tokens": 7, "completion_tokens": number, "total_tokens": 7 + number}}
        for number in range(1, 21)
    ]  # fmt: skip
    asking = answering(content=sse(*chunks) + b"data: [DONE]\n\n", headers=EVENTS, base_url="https://api.x.ai/v1")
    asking("chat.completions.create", **CHAT)
    step = captured.step("llm")
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) == (7, 20)
    assert step.output == {"role": "assistant", "content": "x" * 20, "reasoning": "r" * 20}


def test_a_streamed_response_ends_with_its_last_event(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.say("It is 112 years old.")
    ask("responses.create", model="gpt-4o-mini", input="How old?", stream=True)
    step = captured.step("llm")
    assert (step.status, step.output["content"]) == ("ok", "It is 112 years old.")
    assert step.usage is not None
    assert step.usage.output_tokens == server.usage_served.output_tokens
    assert step.attributes["response_id"].startswith("resp_")


def test_a_response_that_fails_in_its_stream_is_an_error(captured: Capture, answering: Answering) -> None:
    response = {"id": "resp_1", "object": "response", "model": "gpt-4o", "output": [], "status": "in_progress"}
    failed = {**response, "status": "failed", "error": {"code": "server_error", "message": "Down."}}
    for last in (
        {"type": "response.failed", "response": failed, "sequence_number": 1},
        {"type": "error", "code": "server_error", "message": "Down.", "param": None, "sequence_number": 1},
    ):
        body = sse({"type": "response.created", "response": response, "sequence_number": 0}, last)
        answering(content=body, headers=EVENTS)("responses.create", model="gpt-4o", input="Hi", stream=True)
    assert [(step.status, step.error, step.attributes["response_id"]) for step in captured.steps] == [
        ("error", "server_error: Down.", "resp_1")
    ] * 2


def test_an_error_inside_a_stream_is_raised_and_recorded(captured: Capture, answering: Answering) -> None:
    chunk = {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "It"}}]}
    body = sse(chunk, {"error": {"message": "overloaded", "type": "server_error"}})
    with pytest.raises(openai.APIError, match="overloaded"):
        answering(content=body, headers=EVENTS)("chat.completions.create", **CHAT)
    step = captured.step("llm")
    assert (step.status, step.error_type, step.output["content"]) == ("error", "APIError", "It")


def test_a_connection_that_breaks_is_an_error(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.reply(Drop(after_chunks=2, answer=Answer("It is 112 years old.")))
    with pytest.raises(Exception, match=r"incomplete|closed|peer"):
        ask("chat.completions.create", **CHAT)
    assert captured.step("llm").status == "error"


def test_a_stream_that_is_left_early_is_cancelled(captured: Capture, client: OpenAI, server: ModelServer) -> None:
    for _ in range(4):
        server.say("It is a very old tree, of 112 years.")
    with client.chat.completions.create(**CHAT) as stream:  # closed by its context
        _until_text(stream)
    stream = client.chat.completions.create(**CHAT)
    _until_text(stream)
    stream.close()
    with client.chat.completions.stream(model="gpt-4o-mini", messages=MESSAGES) as helper:
        next(iter(helper))
    with client.responses.stream(model="gpt-4o-mini", input="How old?") as events:
        next(iter(events))
    assert [step.status for step in captured.steps] == ["cancelled"] * 4
    assert str(captured.steps[0].output["content"]).startswith("It")
    assert all(step.estimated for step in captured.steps)


def _until_text(stream: Any) -> None:
    for chunk in stream:
        if chunk.choices[0].delta.content:
            return


async def test_an_asynchronous_stream_that_is_left_early_is_cancelled(captured: Capture, server: ModelServer) -> None:
    async with AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        async with await client.chat.completions.create(**CHAT) as stream:
            async for _ in stream:
                break
        async with client.chat.completions.stream(model="gpt-4o-mini", messages=MESSAGES) as helper:
            async for _ in helper:
                break
        async with client.responses.stream(model="gpt-4o-mini", input="How old?") as events:
            async for _ in events:
                break
    assert [step.status for step in captured.steps] == ["cancelled"] * 3


async def test_a_task_that_is_cancelled_while_it_reads_cancels_the_step(captured: Capture, server: ModelServer) -> None:
    server.delay(0, chunk=5)
    async with AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        stream = await client.chat.completions.create(**CHAT)

        async def read() -> None:
            async for _ in stream:
                pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.1)
    assert captured.step("llm").status == "cancelled"


def test_a_stream_that_nobody_reads_is_cancelled_when_it_is_let_go(captured: Capture, client: OpenAI) -> None:
    client.chat.completions.create(**CHAT)
    stream = client.chat.completions.create(**CHAT)
    next(stream)
    del stream
    gc.collect()
    captured.finish()
    assert [step.status for step in captured.steps] == ["cancelled", "cancelled"]


def test_who_stops_after_the_last_word_cancels_nothing(captured: Capture, client: OpenAI) -> None:
    with client.chat.completions.create(**WITH_USAGE) as stream:
        for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
    with client.responses.create(model="gpt-4o-mini", input="How old?", stream=True) as events:
        for event in events:
            if event.type == "response.completed":
                break
    assert [step.status for step in captured.steps] == ["ok", "ok"]
    assert not captured.steps[1].estimated


def test_helpers_for_streams_are_recorded(captured: Capture, client: OpenAI, server: ModelServer) -> None:
    server.say("112")
    server.say("113")
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(model="gpt-4o-mini", messages=MESSAGES, stream_options=options) as stream:
        completion = stream.get_final_completion()
    with client.responses.stream(model="gpt-4o-mini", input="How old?") as events:
        response = events.get_final_response()
    assert [step.output["content"] for step in captured.steps] == ["112", "113"]
    assert [step.status for step in captured.steps] == ["ok", "ok"]
    for step, usage in zip(captured.steps, (completion.usage, response.usage), strict=True):
        assert step.usage is not None
        assert usage is not None
        assert step.usage.total_tokens == usage.total_tokens


def test_text_completions_stream_too(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.say("112 years")
    ask("completions.create", model="gpt-3.5-turbo-instruct", prompt="How old?", stream=True)
    step = captured.step("llm")
    assert (step.output, step.attributes["call_type"]) == ("112 years", "completion")


def test_streamed_transcriptions_and_images_report_their_usage(captured: Capture, answering: Answering) -> None:
    words = sse(
        {"type": "transcript.text.delta", "delta": "Hel"},
        {"type": "transcript.text.delta", "delta": "lo."},
        {"type": "transcript.text.done", "text": "Hello.",
         "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 4, "total_tokens": 18}},
    )  # fmt: skip
    answering(content=words, headers=EVENTS)(
        "audio.transcriptions.create", model="gpt-4o-transcribe", file=b"x", stream=True
    )
    drawn = sse(
        {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": "AAAAAAAA", "size": "1024x1024", "quality": "low",
         "usage": {"input_tokens": 5, "output_tokens": 272, "total_tokens": 277}},
    )  # fmt: skip
    answering(content=drawn, headers=EVENTS)("images.generate", model="gpt-image-1", prompt="An oak", stream=True)
    heard, image = captured.steps
    assert (heard.output, image.output) == ("Hello.", {"images": [{"bytes": 6}]})
    assert heard.usage is not None
    assert image.usage is not None
    assert (heard.usage.output_tokens, image.usage.output_tokens, image.usage.output_image_tokens) == (4, 272, 272)
    assert image.attributes["image"] == {"n": 1, "size": "1024x1024", "quality": "low"}


def test_a_stream_belongs_to_the_step_that_opened_it(captured: Capture, client: OpenAI) -> None:
    with treerings.step("agent", "first"):
        stream = client.chat.completions.create(**CHAT)
    with treerings.step("agent", "second"), treerings.step("tool", "inside"):
        list(stream)
    assert captured.outline() == "agent first\n  llm chat.completions\n\nagent second\n  tool inside"


@pytest.mark.parametrize("mode", ["iterate", "next", "for in with"])
def test_a_stream_stays_what_it_is(captured: Capture, client: OpenAI, mode: str) -> None:
    stream = client.chat.completions.create(**CHAT)
    assert type(stream) is openai.Stream
    assert stream.response.status_code == 200
    chunks = []
    if mode == "iterate":
        chunks = list(stream)
    elif mode == "next":
        with contextlib.suppress(StopIteration):
            while True:
                chunks.append(next(stream))
    else:
        with stream as same:
            assert same is stream
            chunks = list(same)
    assert {type(chunk).__name__ for chunk in chunks} == {"ChatCompletionChunk"}
    assert stream.response.is_closed
    assert list(stream) == []
    assert captured.step("llm").status == "ok"
