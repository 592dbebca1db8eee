"""A model server, agents on it, and a capture, with the Agent Framework instrumented."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("agent_framework")
pytest.importorskip("agent_framework_openai")

from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient
from treerings.testing import Capture, ModelServer, capture
from treerings_agent_framework import integration
from treerings_agent_framework.runs import RUNS


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificates of all authorities are read once: nothing here speaks TLS."""
    monkeypatch.setattr(ssl, "create_default_context", lambda *_args, **_options: SHARED)


SHARED = ssl.create_default_context()


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
    kept = len(RUNS)
    RUNS.clear()
    assert kept == 0, "runs were kept after the test"


@pytest.fixture
def client(server: ModelServer) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(model="gpt-4o-mini", api_key="unused", base_url=server.base_url)


def rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


@pytest.fixture
def agent(client: OpenAIChatCompletionClient) -> Callable[..., Agent]:
    """Makes agents with one tool: `agent(name="forester")`."""

    def make(**options: Any) -> Agent:
        return Agent(**{"client": client, "name": "forester", "tools": [rings], **options})

    return make
