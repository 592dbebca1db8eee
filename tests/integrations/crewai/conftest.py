"""A model server, models, agents and crews on it, and a capture for the CrewAI tests."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("crewai", reason="crewai is not installed")

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_DISABLE_TRACKING="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_DISABLE_VERSION_CHECK="true",
    CREWAI_TESTING="true",
)

from crewai import LLM, Agent, Crew, Task
from crewai.events import crewai_event_bus
from crewai.tools import tool
from treerings.testing import Capture, ModelServer, capture
from treerings_crewai import integration
from treerings_crewai.listener import ASSEMBLER


def pytest_configure(config: pytest.Config) -> None:
    """CrewAI warns of its own fields at every agent."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:crewai")


@pytest.fixture(scope="session", autouse=True)
def cheap_clients() -> Iterator[None]:
    """Every HTTP client reads the certificates of all authorities; nothing here speaks TLS: once is enough."""
    shared = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: shared)
        yield


@pytest.fixture(autouse=True)
def storage(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CrewAI keeps task outputs and memories on disk: for each test apart."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def captured() -> Iterator[Capture]:
    integration.instrument()
    with capture() as captured:
        yield captured
        crewai_event_bus.flush()
    integration.uninstrument()
    ASSEMBLER.clear()


@pytest.fixture
def model(server: ModelServer) -> Callable[..., Any]:
    """Makes models on the server: `model(stream=True)`."""

    def make(**options: Any) -> Any:
        given = {"model": "openai/gpt-4o-mini", "base_url": server.base_url, "api_key": "unused", "max_retries": 0}
        return LLM(**{**given, **options})

    return make


@pytest.fixture
def agent(model: Callable[..., Any]) -> Callable[..., Agent]:
    """Makes agents: `agent("forester", tools=[ring_count])`."""

    def make(role: str = "forester", **options: Any) -> Agent:
        given = {"goal": "Know trees.", "backstory": "Old.", "llm": None if "llm" in options else model()}
        return Agent(role=role, **{**given, **options})

    return make


@pytest.fixture
def crew(agent: Callable[..., Agent]) -> Callable[..., Crew]:
    """Makes a crew with a task for each description: `crew("Count.", "Report.", tools=[ring_count])`."""

    def make(*descriptions: str, worker: Agent | None = None, tools: Any = (), **options: Any) -> Crew:
        worker = worker or agent(tools=list(tools))
        tasks = [Task(description=text, expected_output="An answer.", agent=worker) for text in descriptions]
        return Crew(agents=[worker], tasks=tasks, **options)

    return make


@tool
def count_rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


@pytest.fixture
def ring_count() -> Any:
    return count_rings
