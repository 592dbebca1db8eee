"""A model server, models and agents on it, and a capture, with agno instrumented."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("agno")
pytest.importorskip("openai")

from agno.agent import Agent
from agno.models.openai import OpenAIChat
from treerings.testing import Capture, ModelServer, capture
from treerings_agno import integration


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No telemetry, and the certificates of all authorities are read once: nothing here speaks TLS."""
    monkeypatch.setenv("AGNO_TELEMETRY", "false")
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


def rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


@pytest.fixture
def model(server: ModelServer) -> Callable[..., OpenAIChat]:
    def make(**options: Any) -> OpenAIChat:
        return OpenAIChat(
            **{"id": "gpt-4o-mini", "base_url": server.base_url, "api_key": "unused", "max_retries": 0, **options}
        )

    return make


@pytest.fixture
def agent(model: Callable[..., OpenAIChat]) -> Callable[..., Agent]:
    """Makes agents with one tool: `agent(name="forester")`."""

    def make(**options: Any) -> Agent:
        return Agent(**{"name": "forester", "model": model(), "tools": [rings], "telemetry": False, **options})

    return make
