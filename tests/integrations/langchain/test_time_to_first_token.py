"""The time to the first token: of text, of a tool call or of reasoning; none without a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from treerings.testing import Capture, DeterministicClock, ModelServer, capture
from treerings_langchain import CallbackHandler

Make = Callable[..., Any]

EMPTY = [
    AIMessageChunk(content=""),
    AIMessageChunk(content=[]),
    AIMessageChunk(content=[{"type": "text", "text": "", "index": 0}]),
    AIMessageChunk(content="", response_metadata={"model_name": "m"}),
]
SPEAKING = [
    AIMessageChunk(content="x"),
    AIMessageChunk(content=[{"type": "text", "text": "x", "index": 0}]),
    AIMessageChunk(content=[{"type": "thinking", "thinking": "hm", "index": 0}]),
    AIMessageChunk(content=[{"type": "tool_use", "id": "1", "name": "measure", "input": {}, "index": 0}]),
    AIMessageChunk(content="", additional_kwargs={"reasoning_content": "hm"}),
    AIMessageChunk(content="", tool_call_chunks=[{"name": "measure", "args": "", "id": "1", "index": 0}]),
]


def first_token(chunks: list[AIMessageChunk]) -> float | None:
    handler, run_id = CallbackHandler(), uuid4()
    with capture(clock=DeterministicClock()) as captured:
        handler.on_chat_model_start({"name": "model"}, [[]], run_id=run_id, metadata={})
        for chunk in chunks:
            token = chunk.content if isinstance(chunk.content, str) else list(chunk.content)
            handler.on_llm_new_token(token, chunk=ChatGenerationChunk(message=chunk), run_id=run_id)
        captured.finish()
        return captured.step("llm").first_token_ms


@pytest.mark.parametrize("chunk", EMPTY)
def test_a_chunk_that_says_nothing_is_no_first_token(chunk: AIMessageChunk) -> None:
    assert first_token([chunk]) is None


@pytest.mark.parametrize("chunk", SPEAKING)
def test_text_reasoning_and_tool_calls_are_first_tokens(chunk: AIMessageChunk) -> None:
    assert first_token([EMPTY[0], chunk]) is not None


def test_a_stream_has_it(captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]) -> None:
    server.say("one ring for each year")

    list(model().stream("How old?", traced))

    step = captured.step("llm")
    assert step.first_token_ms is not None
    assert step.duration_ms is not None
    assert 0 < step.first_token_ms < step.duration_ms


def test_a_stream_of_a_tool_call_alone_has_it(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("measure", {"tree": "oak"})

    list(model().stream("How old?", traced))

    assert captured.step("llm").first_token_ms is not None


def test_an_answer_in_one_piece_has_none(captured: Capture, server: ModelServer, model: Make, invoke: Make) -> None:
    server.say("Ninety.")

    invoke(model(), "How old?")

    assert captured.step("llm").first_token_ms is None
