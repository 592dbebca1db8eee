"""Transcriptions and speech through LiteLLM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
import pytest
from treerings.testing import Capture, ModelServer

Settled = Callable[..., str]
SHOWN = ("model", "provider", "call_type")


@pytest.fixture
def sound(server: ModelServer) -> dict[str, Any]:
    """How LiteLLM is told of a server that transcribes and speaks."""
    server.when(endpoint="audio/transcriptions").say("Hello.", usage={"input_tokens": 30, "output_tokens": 4})
    server.when(endpoint="audio/speech").say("la la la")
    return {"api_base": server.base_url, "api_key": "unused", "max_retries": 0}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_transcription_is_a_call_with_its_text_and_tokens(
    captured: Capture, settled: Settled, run: Callable[..., Any], sound: dict[str, Any], asynchronous: bool
) -> None:
    asked: dict[str, Any] = {"model": "openai/gpt-4o-transcribe", "file": ("talk.wav", b"RIFF" * 8), **sound}
    if asynchronous:
        run(lambda: litellm.atranscription(**asked))
    else:
        litellm.transcription(**asked)

    assert settled(show=SHOWN) == "llm transcription model=gpt-4o-transcribe provider=openai call_type=transcription"
    step = captured.step("llm")
    assert (step.status, step.usage and step.usage.input_tokens, step.usage and step.usage.output_tokens) == (
        "ok",
        30,
        4,
    )
    assert "Hello." in str(step.output)
    assert "RIFFRIFF" not in str(step.input)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_speech_is_a_call_that_keeps_no_sound(
    captured: Capture, settled: Settled, run: Callable[..., Any], sound: dict[str, Any], asynchronous: bool
) -> None:
    asked: dict[str, Any] = {"model": "openai/tts-1", "voice": "alloy", "input": "Sing.", **sound}
    heard = run(lambda: litellm.aspeech(**asked)) if asynchronous else litellm.speech(**asked)

    assert heard.content == b"la la la"
    assert settled(show=SHOWN) == "llm speech model=tts-1 provider=openai call_type=speech"
    step = captured.step("llm")
    assert (step.status, step.output) == ("ok", {"bytes": 8})
