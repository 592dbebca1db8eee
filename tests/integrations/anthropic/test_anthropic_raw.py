"""What the program asks for as an HTTP response is recorded when and as far as the program reads it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic import Anthropic, APIResponse, Stream
from anthropic_answers import ASK, message, streamed, tool_use, whole
from treerings.testing import Capture, ModelServer

SHOWN = ("input_tokens", "output_tokens", "cache_read_tokens")
WHOLE = "llm messages input_tokens=140 output_tokens=7 cache_read_tokens=100"


def test_a_raw_response_is_one_call(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole()])

    response = client.messages.with_raw_response.create(**ASK)

    assert type(response) is APIResponse
    assert response.parse().content[0].text == "112 rings."
    assert captured.outline(show=SHOWN) == WHOLE
    assert captured.step("llm").output == {"role": "assistant", "content": "112 rings."}


def test_a_raw_response_that_is_a_stream_is_one_call(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([streamed(tool_use(tree="oak"))])

    stream = client.messages.with_raw_response.create(**ASK, stream=True).parse()

    assert type(stream) is Stream
    assert captured.step("llm").status == "running"
    assert next(stream).type == "message_start"
    assert list(stream)[-1].type == "message_stop"
    step = captured.step("llm")
    assert captured.outline(show=SHOWN) == WHOLE
    assert step.output["tool_calls"] == [{"id": "toolu_1", "name": "ring_count", "args": {"tree": "oak"}}]
    assert step.first_token_ms is not None


@pytest.mark.parametrize("how", ["parse", "json", "text", "read", "iter_lines", "iter_bytes"])
def test_a_response_that_is_read_later_is_recorded_when_it_is_read(
    server: ModelServer, client: Anthropic, captured: Capture, how: str
) -> None:
    server.play([whole()])

    with client.messages.with_streaming_response.create(**ASK) as response:
        assert captured.step("llm").status == "running"
        said = getattr(response, how)()
        if how.startswith("iter"):
            said = list(said)

    assert "112 rings." in str(said)
    assert captured.outline(show=SHOWN) == WHOLE


def test_a_streamed_response_that_is_read_line_by_line_is_one_call(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([streamed()])

    with client.messages.with_streaming_response.create(**ASK, stream=True) as response:
        lines = list(response.iter_lines())

    assert "event: message_stop" in lines
    assert captured.outline(show=SHOWN) == WHOLE
    assert captured.step("llm").output == {"role": "assistant", "content": "112 rings."}


def test_an_asynchronous_response_is_one_call(server: ModelServer, run: Callable[..., Any], captured: Capture) -> None:
    server.play([streamed(), whole()])

    async def ask(client: Any) -> None:
        async with client.messages.with_streaming_response.create(**ASK, stream=True) as response:
            async for _ in await response.parse():
                pass
        assert (await (await client.messages.with_raw_response.create(**ASK)).parse()).id == "msg_1"

    run(ask)

    assert captured.outline(show=SHOWN) == f"{WHOLE}\n\n{WHOLE}"


def test_a_response_that_is_closed_unread_is_cancelled(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([whole()])

    with client.messages.with_streaming_response.create(**ASK):
        pass

    assert captured.outline() == "llm messages cancelled"


def test_a_compressed_answer_is_read_too(captured: Capture) -> None:
    http = pytest.importorskip("httpx2")

    def answer(request: Any) -> Any:
        body = gzip.compress(json.dumps(message()).encode())
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return http.Response(200, headers=headers, stream=http.ByteStream(body))

    transport = http.MockTransport(answer)
    with (
        Anthropic(api_key="unused", http_client=http.Client(transport=transport)) as client,
        client.messages.with_streaming_response.create(**ASK) as response,
    ):
        assert response.parse().usage.output_tokens == 7

    assert captured.outline(show=SHOWN) == WHOLE
