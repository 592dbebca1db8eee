"""A model server, models on it, a handler and a capture for the LangChain tests."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain")
pytest.importorskip("langchain_openai")

from langchain_openai import ChatOpenAI
from treerings.testing import Capture, ModelServer, capture
from treerings_langchain import CallbackHandler
from treerings_langchain.translate import RUNS


@pytest.fixture(scope="session", autouse=True)
def cheap_clients() -> Iterator[None]:
    """Every HTTP client reads the certificates of all authorities, for 70 ms; nothing here speaks TLS: once is enough."""
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        gc.collect()
        gc.freeze()  # the modules: the collections below look at what the tests made
        yield
        gc.unfreeze()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def model(server: ModelServer) -> Callable[..., ChatOpenAI]:
    """Makes chat models on the server: `model(streaming=True)`."""

    def make(**options: Any) -> ChatOpenAI:
        given = {"base_url": server.base_url, "api_key": "unused", "model": "gpt-4o-mini", "max_retries": 0, **options}
        return ChatOpenAI(**given)

    return make


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        yield captured
    RUNS.clear()


@pytest.fixture
def traced() -> dict[str, Any]:
    """A configuration with a handler of its own."""
    return {"callbacks": [CallbackHandler()]}


@pytest.fixture(params=["invoke", "ainvoke"])
def invoke(request: pytest.FixtureRequest, traced: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Runs a runnable, once for each test synchronously and once asynchronously: `invoke(chain, "question")`."""
    with asyncio.Runner() as runner:

        def run(runnable: Any, value: Any, config: dict[str, Any] | None = None, **options: Any) -> Any:
            chosen = traced if config is None else config
            if request.param == "invoke":
                return runnable.invoke(value, chosen, **options)
            return runner.run(runnable.ainvoke(value, chosen, **options), context=contextvars.copy_context())

        yield run
