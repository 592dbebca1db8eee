"""LiteLLM on a model server, recorded; it logs on threads of its own, so a look waits until it has."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import sys
import threading
import types
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # read when LiteLLM is imported
pytest.importorskip("litellm")

import litellm
from treerings.testing import Capture, ModelServer, capture
from treerings_litellm import integration
from treerings_litellm.calls import CALLS

LISTS = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    # Logging of cached answers imports LiteLLM's proxy, which imports this without declaring it.
    sys.modules.setdefault("soundfile", types.ModuleType("soundfile"))
    # The Responses API asks LiteLLM's MCP gateway whether it takes part; that needs a newer `mcp` than is installed here.
    try:
        importlib.import_module("litellm.responses.mcp.litellm_proxy_mcp_handler")
    except ImportError:
        gateway: Any = types.ModuleType("litellm.responses.mcp.litellm_proxy_mcp_handler")
        gateway.LiteLLM_Proxy_MCP_Handler = type(
            "LiteLLM_Proxy_MCP_Handler", (), {"should_use_litellm_mcp_gateway": staticmethod(lambda tools: False)}
        )
        sys.modules.setdefault(gateway.__name__, gateway)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ModelServer]:
    with ModelServer(default="echo") as server:
        yield server


@pytest.fixture(autouse=True)
def settings(shared_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Calls go to a server that echoes; LiteLLM's lists and cache are put back afterwards."""
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    monkeypatch.setenv("OPENAI_BASE_URL", shared_server.base_url)
    for name in (*LISTS, "cache", "num_retries", "turn_off_message_logging"):
        value = getattr(litellm, name)
        monkeypatch.setattr(litellm, name, list(value) if isinstance(value, list) else value)
    yield
    integration.uninstrument()


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
    CALLS.clear()


Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def run() -> Run:
    """Runs a coroutine function in an event loop that lives on until LiteLLM has logged."""

    def run(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async def whole() -> Any:
            result = await function()
            for _ in range(500):
                if not CALLS:
                    break
                await asyncio.sleep(0.005)
            return result

        return asyncio.run(whole())

    return run


@pytest.fixture
def settled(captured: Capture) -> Callable[..., str]:
    """The outline, once LiteLLM's threads have told the end of every call."""

    def settle(**options: Any) -> str:
        pause = threading.Event()
        for turn in range(1_000):
            captured.flush()
            if not CALLS:
                break
            if turn % 20 == 0:
                gc.collect()  # what ends without a word ends when it is garbage
            pause.wait(0.005)
        return captured.outline(**options)

    return settle


MESSAGES = [{"role": "user", "content": "oak"}]


@pytest.fixture
def ask() -> dict[str, Any]:
    """The arguments of an ordinary question."""
    return {"model": "openai/gpt-4o-mini", "messages": MESSAGES}
