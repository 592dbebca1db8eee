"""Streams: read to the end, closed early, broken; what they report and what they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import litellm
import pytest
from treerings.testing import Capture, ModelServer

Settled = Callable[..., str]
Run = Callable[..., Any]
USAGE = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_that_reports_usage(
    captured: Capture, settled: Settled, run: Run, ask: dict[str, Any], asynchronous: bool
) -> None:
    _read(run, asynchronous, **ask, **USAGE)

    assert settled(show=("input_tokens", "output_tokens")) == "llm completion input_tokens=4 output_tokens=1"
    step = captured.step("llm")
    assert not step.estimated
    assert step.output["content"] == "oak"
    assert step.first_token_ms is not None
    assert step.duration_ms is not None
    assert step.first_token_ms <= step.duration_ms


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_no_chunk_reported_is_estimated_and_says_so(
    captured: Capture, settled: Settled, run: Run, ask: dict[str, Any], asynchronous: bool
) -> None:
    _read(run, asynchronous, **ask)

    settled()
    step = captured.step("llm")
    assert step.estimated
    assert step.usage is not None
    assert step.usage.input_tokens


def test_the_chunks_are_what_they_would_be_without_us(settled: Settled, ask: dict[str, Any]) -> None:
    stream = litellm.completion(**ask, stream=True)

    assert isinstance(stream, litellm.CustomStreamWrapper)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "oak"


def test_a_stream_that_nobody_reads_on_is_cancelled(
    captured: Capture, settled: Settled, server: ModelServer, ask: dict[str, Any]
) -> None:
    server.say("an oak is a tree that stands for long " * 20)

    next(iter(litellm.completion(**ask, stream=True, api_base=server.base_url)))

    assert settled() == "llm completion cancelled"


def test_an_asynchronous_stream_that_is_closed_is_cancelled(
    captured: Capture, settled: Settled, server: ModelServer, ask: dict[str, Any]
) -> None:
    server.say("an oak is a tree that stands for long " * 20)

    async def first_chunk() -> None:
        stream = await litellm.acompletion(**ask, stream=True, api_base=server.base_url)
        async for _ in stream:
            break
        await stream.aclose()

    asyncio.run(first_chunk())

    assert settled() == "llm completion cancelled"


def test_a_stream_that_breaks_is_an_error(
    captured: Capture, settled: Settled, server: ModelServer, ask: dict[str, Any]
) -> None:
    server.drop(after_chunks=2, text="an oak is a tree that stands for long " * 20)

    with pytest.raises(Exception, match="peer closed"):
        list(litellm.completion(**ask, stream=True, api_base=server.base_url, max_retries=0))

    assert settled() == "llm completion error"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_of_the_responses_api(captured: Capture, settled: Settled, run: Run, asynchronous: bool) -> None:
    asked: dict[str, Any] = {"model": "openai/gpt-4o-mini", "input": "oak", "stream": True}

    async def read() -> None:
        async for _ in await litellm.aresponses(**asked):
            pass

    if asynchronous:
        run(read)
    else:
        list(litellm.responses(**asked))

    assert settled(show=("input_tokens", "output_tokens")) == "llm responses input_tokens=4 output_tokens=1"
    usage = captured.step("llm").usage
    assert usage is not None
    assert usage.reported_cost_usd is None  # what stands there is LiteLLM's own price


def _read(run: Run, asynchronous: bool, **asked: Any) -> None:
    async def read() -> None:
        async for _ in await litellm.acompletion(**asked, stream=True):
            pass

    if asynchronous:
        run(read)
    else:
        list(litellm.completion(**asked, stream=True))
