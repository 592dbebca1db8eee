"""ModelServer takes forms with files, and answers transcriptions and speech."""

from __future__ import annotations

import io
import json
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from treerings.testing import ModelServer
from treerings.testing import model_forms as forms

SOUND = random.Random(1).randbytes(32_000) + bytes(range(256)) + b"\r\n--\r\n\n"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        yield client


def test_a_form_is_its_fields_and_the_sizes_of_its_files(server: ModelServer, client: OpenAI) -> None:
    server.when(endpoint="audio/transcriptions").say("Hello there.")
    given = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("tälk.wav", SOUND, "audio/wav"), prompt="Bäume", include=["logprobs"]
    )
    assert given.text == "Hello there."
    (request,) = server.requests
    assert (request.model, request.text, request.endpoint) == ("gpt-4o-transcribe", "Bäume", "audio/transcriptions")
    assert request.body["include"] == ["logprobs"]
    assert request.body["file"] == {"filename": "tälk.wav", "content_type": "audio/wav", "bytes": len(SOUND)}


def test_a_transcription_reports_what_was_scripted(server: ModelServer, client: OpenAI) -> None:
    usage: Any = {"input_tokens": 30, "output_tokens": 4, "input_audio_tokens": 25}
    server.when(endpoint="audio/transcriptions").say("Hello.", usage=usage)
    given: Any = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=io.BytesIO(SOUND))
    assert given.usage.to_dict() == {
        "type": "tokens",
        "input_tokens": 30,
        "output_tokens": 4,
        "total_tokens": 34,
        "input_token_details": {"audio_tokens": 25, "text_tokens": 5},
    }
    assert (server.usage_served.input_tokens, server.usage_served.output_tokens) == (30, 4)


def test_whisper_reports_seconds(server: ModelServer, client: OpenAI) -> None:
    server.when(endpoint="audio/translations").say("Hello.")
    given: Any = client.audio.translations.create(model="whisper-1", file=SOUND)
    assert given.usage == {"type": "duration", "seconds": 2}
    assert server.usage_served.calls_without_usage == 1


def test_a_transcription_as_bare_text(server: ModelServer, client: OpenAI) -> None:
    server.when(endpoint="audio/transcriptions").say("Hello.")
    assert client.audio.transcriptions.create(model="whisper-1", file=SOUND, response_format="text") == "Hello."


def test_a_streamed_transcription_adds_up(server: ModelServer, client: OpenAI) -> None:
    server.when(endpoint="audio/transcriptions").say("Hello there.")
    events: list[Any] = list(
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, stream=True, response_format="json")
    )
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == "Hello there."
    assert events[-1].usage.total_tokens == server.usage_served.total_tokens > 0


def test_speech_is_the_text_of_the_answer(server: ModelServer, client: OpenAI) -> None:
    server.when(endpoint="audio/speech").say("la la")
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="Sing.").content == b"la la"


def test_an_endpoint_of_sound_fails_as_it_is_told(server: ModelServer, client: OpenAI) -> None:
    server.when(endpoint="audio/transcriptions").fail(400, message="too quiet")
    with pytest.raises(BadRequestError, match="too quiet"):
        client.audio.transcriptions.create(model="whisper-1", file=SOUND)


def test_several_images_are_a_list_of_files(server: ModelServer, client: OpenAI) -> None:
    server.play([{"url": "https://api.openai.com/v1/images/edits", "status": 200, "request": {},
                  "response": {"created": 1, "data": [{"b64_json": "AAAA"}]}}])  # fmt: skip
    images = [("a.png", b"one", "image/png"), ("b.png", b"other", "image/png")]
    given = client.images.edit(model="gpt-image-1", image=images, prompt="A birch.")
    assert given.data
    assert given.data[0].b64_json == "AAAA"
    assert [image["bytes"] for image in server.requests[0].body["image"]] == [3, 5]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"no boundary in here", "no part of it"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "no name"),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" * 1_001 + b"--b--\r\n", "more than 1000"),
        (b"x" * 2_000_000, "are read"),
    ],
)
def test_what_is_no_form_is_refused(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, body: bytes, why: str
) -> None:
    monkeypatch.setattr(forms, "MAX_FORM_BYTES", 1_000_000)
    url = f"{server.base_url}/audio/transcriptions"
    request = urllib.request.Request(url, body, {"content-type": "multipart/form-data; boundary=b"})
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)
    error = json.loads(raised.value.read())["error"]
    assert (raised.value.code, error["code"]) == (400, "invalid_form")
    assert why in error["message"]
    assert not server.requests
