"""A model server, model clients on it, an instrumented AutoGen and a capture."""

from __future__ import annotations

import gc
import logging
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("autogen_agentchat")
pytest.importorskip("autogen_ext.models.openai")

from autogen_ext.models.openai import OpenAIChatCompletionClient
from treerings.testing import Capture, ModelServer, capture
from treerings_autogen import agents, integration, models, places, tools


@pytest.fixture(scope="session", autouse=True)
def cheap_clients() -> Iterator[None]:
    """Every HTTP client reads the certificates of all authorities; nothing here speaks TLS: once is enough."""
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """AutoGen's runtime reports errors of agents on a logger of its own, whole tracebacks."""
    log = logging.getLogger("autogen_core")
    before, log.level = log.level, logging.CRITICAL
    yield
    log.level = before


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Callable[..., OpenAIChatCompletionClient]:
    """Makes model clients on the server: `client(temperature=0)`."""

    def make(**options: Any) -> OpenAIChatCompletionClient:
        given = {"model": "gpt-4o-mini-2024-07-18", "base_url": server.base_url, "api_key": "unused", "max_retries": 0}
        return OpenAIChatCompletionClient(**{**given, **options})

    return make


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        yield captured


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    integration.instrument()
    yield
    integration.uninstrument()
    kept = [len(table) for table in (agents._runs, models._calls, places._teams, tools._open)]
    for table in (agents._runs, models._calls, places._teams, tools._open):
        table.clear()
    assert kept == [0, 0, 0, 0], "open runs were kept after the test"
