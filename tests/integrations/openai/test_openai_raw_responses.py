"""Answers that the program reads as they come over the wire: usage is read from what it reads, and nothing before it."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from treerings.testing import Capture, ModelServer

MESSAGES: list[Any] = [{"role": "user", "content": "How old is the oak?"}]
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": MESSAGES}
STREAM: dict[str, Any] = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
BODY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "112"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}


def assert_reported(captured: Capture, server: ModelServer, *, calls: int = 1) -> None:
    steps = captured.steps
    assert [(step.status, step.estimated) for step in steps] == [("ok", False)] * calls
    assert sum(step.usage.input_tokens or 0 for step in steps if step.usage) == server.usage_served.input_tokens
    assert {step.output["content"] for step in steps} == {"How old is the oak?"}


def test_a_raw_response_is_read_once_by_the_program(captured: Capture, client: OpenAI, server: ModelServer) -> None:
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert type(raw) is openai._legacy_response.LegacyAPIResponse
    assert raw._parsed_by_type == {}
    assert raw.parse() is raw.parse()
    assert raw.headers["x-request-id"]
    client.responses.with_raw_response.create(model="gpt-4o-mini", input="How old is the oak?").parse()
    client.chat.completions.with_raw_response.parse(**CHAT).parse()
    assert_reported(captured, server, calls=3)


@pytest.mark.parametrize("way", ["parse", "bytes"])
def test_a_raw_stream_is_followed(captured: Capture, client: OpenAI, server: ModelServer, way: str) -> None:
    raw = client.chat.completions.with_raw_response.create(**STREAM)
    if way == "parse":
        stream = raw.parse()
        assert type(stream) is openai.Stream
        list(stream)
    else:
        b"".join(raw.http_response.iter_bytes())
    assert_reported(captured, server)
    assert captured.step("llm").first_token_ms is not None


@pytest.mark.parametrize("way", ["parse", "read", "json", "lines", "bytes", "text"])
@pytest.mark.parametrize("options", [CHAT, STREAM], ids=["whole", "streamed"])
def test_a_streaming_response_is_followed(
    captured: Capture, client: OpenAI, server: ModelServer, way: str, options: dict[str, Any]
) -> None:
    with client.chat.completions.with_streaming_response.create(**options) as response:
        assert type(response) is openai.APIResponse
        assert not response.http_response.is_stream_consumed
        if way == "parse":
            result = response.parse()
            if isinstance(result, openai.Stream):
                list(result)
        elif way == "json":
            response.read()
        else:
            result = getattr(response, way if way == "read" else f"iter_{way}")()
            assert list(result)
    assert_reported(captured, server)


async def test_an_asynchronous_streaming_response_is_followed(captured: Capture, server: ModelServer) -> None:
    async with AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        async with client.chat.completions.with_streaming_response.create(**CHAT) as response:
            await response.parse()
        async with client.chat.completions.with_streaming_response.create(**STREAM) as response:
            assert [line async for line in response.iter_lines()]
        raw = await client.chat.completions.with_raw_response.create(**STREAM)
        assert [chunk async for chunk in raw.parse()]
        raw = await client.chat.completions.with_raw_response.create(**CHAT)
        raw.parse()
    assert_reported(captured, server, calls=4)


def test_a_streaming_response_that_nobody_reads_is_not_read(captured: Capture, client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        assert response.status_code == 200
    assert not response.http_response.is_stream_consumed
    assert captured.step("llm").status == "cancelled"


def test_a_streaming_response_that_is_left_early_is_cancelled(captured: Capture, client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(**STREAM) as response:
        for line in response.iter_lines():
            if "How" in line:
                break
    step = captured.step("llm")
    assert step.status == "cancelled" or step.attributes.get("finish_reason")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
@pytest.mark.parametrize("streamed", [False, True])
def test_encoded_bodies_are_understood(captured: Capture, encoding: str, streamed: bool) -> None:
    chunk = {
        "id": "c",
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {"content": "112"}}],
        "usage": BODY["usage"],
    }
    text = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n" if streamed else json.dumps(BODY)
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[encoding](text.encode())
    kind = "text/event-stream" if streamed else "application/json"

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200,
            headers={"content-type": kind, "content-encoding": encoding},
            stream=_Parts([packed[i : i + 7] for i in range(0, len(packed), 7)]),
        )

    with OpenAI(api_key="unused", http_client=httpx.Client(transport=httpx.MockTransport(respond))) as client:
        options = STREAM if streamed else CHAT
        with client.chat.completions.with_streaming_response.create(**options) as response:
            assert response.read() == text.encode()
        raw = client.chat.completions.with_raw_response.create(**options)
        list(raw.parse()) if streamed else raw.parse()
    for step in captured.steps:
        assert step.usage is not None
        assert (step.usage.input_tokens, step.usage.output_tokens, step.output["content"]) == (5, 1, "112")


class _Parts(httpx.SyncByteStream):
    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts

    def __iter__(self) -> Any:
        yield from self.parts


def test_streamed_speech_is_its_size_and_not_kept(captured: Capture, tmp_path: Any) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "audio/mpeg"}, stream=_Parts([bytes(1_000)] * 5))

    with OpenAI(api_key="unused", http_client=httpx.Client(transport=httpx.MockTransport(respond))) as client:
        speech = client.audio.speech.with_streaming_response.create(model="gpt-4o-mini-tts", voice="alloy", input="Hi")
        with speech as response:
            response.stream_to_file(tmp_path / "hi.mp3")
    assert (tmp_path / "hi.mp3").stat().st_size == 5_000
    step = captured.step("llm")
    assert (step.status, step.output, step.attributes["call_type"]) == ("ok", {"bytes": 5_000}, "speech")
    assert step.first_token_ms is not None


def test_speech_as_events_reports_its_usage(captured: Capture) -> None:
    events: list[dict[str, Any]] = [
        {"type": "speech.audio.delta", "audio": "AAAA"},
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
    ]
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=text)

    with OpenAI(api_key="unused", http_client=httpx.Client(transport=httpx.MockTransport(respond))) as client:
        client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Hi", stream_format="sse")
    step = captured.step("llm")
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_audio_tokens) == (14, 101)
