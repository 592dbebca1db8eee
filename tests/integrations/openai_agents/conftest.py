"""Agents of the OpenAI Agents SDK on a model server; its own exporter is taken out, as its documentation shows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

pytest.importorskip("agents")

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, set_trace_processors, set_tracing_disabled
from openai import AsyncOpenAI
from treerings.testing import Capture, ModelServer, capture
from treerings_openai_agents import integration
from treerings_openai_agents.spans import SPANS


@pytest.fixture(scope="session", autouse=True)
def nothing_is_sent() -> Iterator[None]:
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        patch.delenv("OPENAI_API_KEY", raising=False)
        set_trace_processors([])
        set_tracing_disabled(False)
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    set_trace_processors([])
    with capture() as captured:
        integration.instrument()
        yield captured
        integration.uninstrument()
    SPANS.clear()


@pytest.fixture
def agent(server: ModelServer) -> Callable[..., Agent[Any]]:
    """Makes an agent on the server; its client belongs to one event loop."""

    def make(name: str = "forester", *, api: str = "chat", **options: Any) -> Agent[Any]:
        client = AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0)
        model = (OpenAIChatCompletionsModel if api == "chat" else OpenAIResponsesModel)(
            "gpt-4o-mini", openai_client=client
        )
        return Agent(name=name, model=model, **options)

    return make


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return asyncio.run
