"""`traced(model_client)`: exact model calls without switching anything on, and still the same client."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import openai
import pytest
import treerings
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from treerings.testing import Capture, ModelServer
from treerings_autogen import integration, traced

ASK = [UserMessage(content="How old?", source="user")]
LLM = "llm OpenAIChatCompletionClient"


@pytest.fixture(params=[True, False], ids=["instrumented", "alone"])
def everywhere(request: pytest.FixtureRequest) -> bool:
    if not request.param:
        integration.uninstrument()
    return bool(request.param)


def test_a_call_is_one_step_with_exact_tokens(
    server: ModelServer, client: Callable[..., Any], captured: Capture, everywhere: bool
) -> None:
    server.say("112", usage={"cache_read_tokens": 3})

    async def go() -> None:
        with treerings.step("task", "own"):
            await AssistantAgent("ann", traced(client())).run(task="How old?")

    asyncio.run(go())

    inside = f"  agent ann\n    {LLM}" if everywhere else f"  {LLM}"
    assert captured.outline() == f"task own\n{inside}"
    usage = captured.step("llm").usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens) == (server.usage_served.input_tokens, 3)


def test_a_stream_is_one_step_with_its_first_token(
    server: ModelServer, client: Callable[..., Any], captured: Capture, everywhere: bool
) -> None:
    server.say("one two three")

    async def go() -> list[Any]:
        return [item async for item in traced(client()).create_stream(ASK, include_usage=True)]

    assert asyncio.run(go())[-1].content == "one two three"
    assert captured.outline() == LLM
    assert captured.step("llm").first_token_ms is not None


def test_a_failure_is_one_step(
    server: ModelServer, client: Callable[..., Any], captured: Capture, everywhere: bool
) -> None:
    server.fail(500)

    with pytest.raises(openai.InternalServerError):
        asyncio.run(traced(client()).create(ASK))

    assert captured.outline() == f"{LLM} error"


def test_it_passes_for_the_client(client: Callable[..., Any]) -> None:
    inner = client()
    outer = traced(inner)

    assert isinstance(outer, OpenAIChatCompletionClient)
    assert isinstance(outer, ChatCompletionClient)
    assert traced(outer) is outer
    assert outer.model_info == inner.model_info
    assert outer.total_usage() == inner.total_usage()
    changed: Any = outer
    changed.note = "mine"
    assert inner.note == changed.note == "mine"
    del changed.note
    assert not hasattr(inner, "note")
    assert repr(outer) == repr(inner)


def test_it_is_serialised_as_the_client(client: Callable[..., Any]) -> None:
    inner = client()
    outer = traced(inner)

    assert outer.dump_component() == inner.dump_component()
    assert type(ChatCompletionClient.load_component(outer.dump_component())) is OpenAIChatCompletionClient
    config = AssistantAgent("ann", outer).dump_component()
    assert config == AssistantAgent("ann", inner).dump_component()
    for twin in (pickle.loads(pickle.dumps(outer)), copy.copy(outer)):
        assert isinstance(twin, OpenAIChatCompletionClient)
        assert traced(twin) is twin
