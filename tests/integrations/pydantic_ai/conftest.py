"""Agents of Pydantic AI on a model server."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("pydantic_ai")
pytest.importorskip("openai")

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from treerings.testing import Capture, ModelServer, capture
from treerings_pydantic_ai import integration


@pytest.fixture(scope="session", autouse=True)
def cheap_clients() -> Iterator[None]:
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        yield


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
def agent(server: ModelServer) -> Callable[..., Agent[Any, Any]]:
    """Makes an agent on the server, with a tool."""

    def make(name: str = "forester", **options: Any) -> Agent[Any, Any]:
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=server.base_url, api_key="unused"))
        return Agent(model, name=name, **{"tools": [rings], **options})

    return make
