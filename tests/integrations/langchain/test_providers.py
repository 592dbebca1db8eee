"""Providers whose answers differ from OpenAI's chat completions: Responses, Anthropic, Google."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from treerings.testing import Capture, ModelServer

Make = Callable[..., Any]
CACHED = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 30}


def anthropic_answer(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Ninety."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def call(path: str, response: Any) -> dict[str, Any]:
    return {"url": f"https://provider.example{path}", "status": 200, "request": {}, "response": response}


def ask_claude(server: ModelServer, config: dict[str, Any], **options: Any) -> None:
    anthropic = pytest.importorskip("langchain_anthropic")
    model = anthropic.ChatAnthropic(
        base_url=server.url, api_key="unused", model="claude-sonnet-4-5", max_retries=0, **options
    )
    model.invoke("How old?", config)


def known(captured: Capture) -> dict[str, Any]:
    usage = captured.step("llm").usage
    assert usage is not None
    return usage.as_dict()


def test_anthropics_cache_is_part_of_the_input(captured: Capture, server: ModelServer, traced: dict[str, Any]) -> None:
    server.play([call("/v1/messages", anthropic_answer(CACHED))])

    ask_claude(server, traced)

    assert known(captured) == {
        "input_tokens": 180,
        "output_tokens": 20,
        "cache_read_tokens": 50,
        "cache_write_tokens": 30,
    }
    assert captured.step("llm").provider == "anthropic"


def test_anthropics_cache_writes_are_told_by_lifetime(
    captured: Capture, server: ModelServer, traced: dict[str, Any]
) -> None:
    lifetimes = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    server.play([call("/v1/messages", anthropic_answer({**CACHED, "cache_creation": lifetimes}))])

    ask_claude(server, traced)

    usage = known(captured)
    assert (usage["input_tokens"], usage["cache_write_tokens"], usage["cache_write_1h_tokens"]) == (180, 30, 20)


def anthropic_stream(usage_at_end: dict[str, Any]) -> str:
    message = {**anthropic_answer(CACHED), "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Ninety."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage_at_end},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def test_a_stream_of_anthropics_counts_once(captured: Capture, server: ModelServer, traced: dict[str, Any]) -> None:
    server.play([call("/v1/messages", anthropic_stream(CACHED))])

    ask_claude(server, traced, streaming=True)

    assert known(captured)["input_tokens"] == 180
    assert known(captured)["output_tokens"] == 20


def test_an_input_that_a_stream_did_not_repeat_at_its_end_is_estimated_and_not_nothing(
    captured: Capture, server: ModelServer, traced: dict[str, Any]
) -> None:
    server.play([call("/v1/messages", anthropic_stream({"output_tokens": 20}))])

    ask_claude(server, traced, streaming=True)

    assert captured.step("llm").estimated
    assert known(captured)["input_tokens"] > 0
    assert known(captured)["output_tokens"] == 20


@pytest.mark.parametrize("asynchronous", [False, True])
def test_googles_thoughts_are_part_of_the_output(
    captured: Capture, server: ModelServer, traced: dict[str, Any], asynchronous: bool
) -> None:
    google = pytest.importorskip("langchain_google_genai")
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Ninety."}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 10,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 40,
            "totalTokenCount": 55,
            "cachedContentTokenCount": 4,
        },
        "modelVersion": "gemini-2.5-flash",
    }
    server.play([call("/v1beta/models/gemini-2.5-flash:generateContent", answer)])
    model = google.ChatGoogleGenerativeAI(
        model="gemini-2.5-flash", api_key="unused", base_url=server.url, max_retries=0
    )

    if asynchronous:
        asyncio.run(model.ainvoke("How old?", traced))
    else:
        model.invoke("How old?", traced)

    usage = known(captured)
    assert (usage["input_tokens"], usage["output_tokens"]) == (10, 45)
    assert (usage["reasoning_tokens"], usage["cache_read_tokens"]) == (40, 4)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_responses_interface(
    captured: Capture, server: ModelServer, model: Make, invoke: Make, streaming: bool
) -> None:
    server.say(
        "Ninety.", usage={"input_tokens": 90, "output_tokens": 40, "cache_read_tokens": 64, "reasoning_tokens": 30}
    )

    invoke(model(use_responses_api=True, streaming=streaming), "How old?")

    usage = known(captured)
    assert (usage["input_tokens"], usage["output_tokens"]) == (90, 40)
    assert (usage["cache_read_tokens"], usage["reasoning_tokens"]) == (64, 30)
