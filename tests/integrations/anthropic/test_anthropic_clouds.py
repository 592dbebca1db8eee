"""Claude from a cloud is recorded with the cloud as its provider."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import pytest
from anthropic import AnthropicBedrock, AnthropicFoundry, AnthropicVertex
from anthropic_answers import ASK, MODEL, events, message, whole
from treerings.testing import Capture, ModelServer
from treerings.testing.recordings import Call

BEDROCK_MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"
BEDROCK = f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{BEDROCK_MODEL}"
VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict"
SHOWN = ("provider", "model", "input_tokens", "output_tokens")


def bedrock(server: ModelServer) -> AnthropicBedrock:
    return AnthropicBedrock(
        base_url=server.url, aws_region="us-east-1", aws_access_key="a", aws_secret_key="s", max_retries=0
    )


def test_bedrocks_answer_is_bedrocks(server: ModelServer, captured: Capture) -> None:
    pytest.importorskip("botocore")
    server.play([Call(f"{BEDROCK}/invoke", 200, {}, message(model="claude-3-5-haiku-20241022"))])

    with bedrock(server) as client:
        client.messages.create(**{**ASK, "model": BEDROCK_MODEL})

    assert captured.outline(show=SHOWN) == (
        f"llm messages provider=bedrock model={BEDROCK_MODEL} input_tokens=140 output_tokens=7"
    )
    assert captured.step("llm").cost_usd is not None


@pytest.mark.parametrize("raw", [False, True])
def test_bedrocks_streams_are_read(server: ModelServer, captured: Capture, raw: bool) -> None:
    pytest.importorskip("botocore")
    frames = b"".join(frame(event) for event in events())
    server.play([Call(f"{BEDROCK}/invoke-with-response-stream", 200, {}, base64.b64encode(frames).decode())])

    with bedrock(server) as client:
        asked: Any = {**ASK, "model": BEDROCK_MODEL, "stream": True}
        if raw:
            with client.messages.with_streaming_response.create(**asked) as response:
                response.read()
        else:
            assert [event.type for event in client.messages.create(**asked)][-1] == "message_stop"

    assert captured.outline(show=SHOWN) == (
        f"llm messages provider=bedrock model={BEDROCK_MODEL} input_tokens=140 output_tokens=7"
    )
    assert captured.step("llm").output == {"role": "assistant", "content": "112 rings."}


def test_vertex_answer_is_vertex(server: ModelServer, captured: Capture) -> None:
    server.play([Call(VERTEX, 200, {}, message())])

    with AnthropicVertex(
        base_url=server.url, region="us-east5", project_id="p", access_token="t", max_retries=0
    ) as client:
        client.messages.create(**ASK)

    assert captured.outline(show=SHOWN) == (
        f"llm messages provider=google-vertex model={MODEL} input_tokens=140 output_tokens=7"
    )


def test_foundrys_answer_is_azures(server: ModelServer, captured: Capture) -> None:
    server.play([whole()])

    with AnthropicFoundry(base_url=server.url, api_key="unused", max_retries=0) as client:
        client.messages.create(**ASK)

    assert captured.outline(show=SHOWN) == f"llm messages provider=azure model={MODEL} input_tokens=140 output_tokens=7"


def frame(event: dict[str, Any]) -> bytes:
    """One message of an AWS event stream: https://smithy.io/2.0/aws/amazon-eventstream.html"""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    headers = b""
    for name, value in ((":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    start += struct.pack(">I", zlib.crc32(start))
    body = start + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))
