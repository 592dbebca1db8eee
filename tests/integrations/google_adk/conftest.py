"""A model server, models on it, a way to run an agent, and a capture, with ADK instrumented."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # read when LiteLLM is imported

pytest.importorskip("google.adk")
pytest.importorskip("litellm")

import litellm
from google.adk.agents.run_config import RunConfig
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from treerings.testing import Capture, ModelServer, capture
from treerings_google_adk import integration
from treerings_google_adk.runs import RUNS

SHARED = ssl.create_default_context()
Run = Callable[..., Awaitable[list[Any]]]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The certificates of all authorities are read once: nothing here speaks TLS. ADK logs whole tracebacks."""
    monkeypatch.setattr(ssl, "create_default_context", lambda *_args, **_options: SHARED)
    monkeypatch.setattr(litellm, "suppress_debug_info", True)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        integration.instrument()
        yield captured
        integration.uninstrument()
    RUNS.clear()


@pytest.fixture
def model(server: ModelServer) -> Callable[..., LiteLlm]:
    def make(**options: Any) -> LiteLlm:
        # LiteLLM looks for its MCP gateway when there are tools, and needs a newer `mcp` for that than other frameworks
        return LiteLlm(
            "openai/gpt-4o-mini", api_base=server.base_url, api_key="unused", _skip_mcp_handler=True, **options
        )

    return make


@pytest.fixture
def run() -> Run:
    """Runs an agent and gives its events: `await run(agent, stream=True, stop=2, plugins=[...])`."""

    async def go(
        agent: Any, *, stream: bool = False, stop: int = 0, plugins: list[Any] | None = None, each: Any = None
    ) -> list[Any]:
        runner = InMemoryRunner(agent, app_name="app", plugins=plugins)
        session = await runner.session_service.create_session(app_name="app", user_id="ada")
        question = types.Content(role="user", parts=[types.Part(text="How old?")])
        mode: Any = "sse" if stream else None
        events: list[Any] = []
        found: Any = runner.run_async(
            user_id="ada", session_id=session.id, new_message=question, run_config=RunConfig(streaming_mode=mode)
        )
        async for event in found:
            events.append(event)
            if each is not None:
                each()
            if len(events) == stop:
                await found.aclose()
                break
        return events

    return go
