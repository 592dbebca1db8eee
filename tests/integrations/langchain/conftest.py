"""A model server, models on it, a handler and a capture for the LangChain tests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain")
pytest.importorskip("langchain_openai")

from langchain_openai import ChatOpenAI
from treerings.testing import Capture, ModelServer, capture
from treerings_langchain import CallbackHandler
from treerings_langchain.translate import RUNS


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
    gc.collect()  # generators that an earlier test left unread end in that test's capture
    with capture() as captured:
        yield captured
    RUNS.clear()


@pytest.fixture
def traced() -> dict[str, Any]:
    """A configuration with a handler of its own."""
    return {"callbacks": [CallbackHandler()]}


@pytest.fixture(params=["invoke", "ainvoke"])
def invoke(request: pytest.FixtureRequest, traced: dict[str, Any]) -> Callable[..., Any]:
    """Runs a runnable, once for each test synchronously and once asynchronously: `invoke(chain, "question")`."""

    def run(runnable: Any, value: Any, config: dict[str, Any] | None = None, **options: Any) -> Any:
        chosen = traced if config is None else config
        if request.param == "invoke":
            return runnable.invoke(value, chosen, **options)
        return asyncio.run(runnable.ainvoke(value, chosen, **options))

    return run
