"""`instrument` reaches every agent, a capability one of them; both together record once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from treerings.testing import Answer, Capture, ModelServer, ToolCall, capture
from treerings_pydantic_ai import Treerings, integration
from treerings_pydantic_ai.runs import RUNS

Make = Callable[..., Agent[Any, Any]]


def test_twice_is_once_and_uninstrument_undoes_it() -> None:
    before = Agent.iter

    integration.instrument()
    integration.instrument()
    integration.uninstrument()
    integration.uninstrument()

    assert Agent.iter is before


def test_a_capability_of_one_agent(server: ModelServer, agent: Make) -> None:
    server.say("one")
    server.say("two")
    with capture() as captured:
        agent("recorded", capabilities=[Treerings()]).run_sync("?")
        agent("not recorded").run_sync("?")

    assert captured.outline() == "agent recorded\n  llm OpenAIChatModel"


def test_a_capability_of_one_run(server: ModelServer, agent: Make) -> None:
    server.say("one")
    server.say("two")
    forester = agent()
    with capture() as captured:
        forester.run_sync("?")
        forester.run_sync("?", capabilities=[Treerings()])

    assert captured.outline() == "agent forester\n  llm OpenAIChatModel"


def test_an_agent_with_a_capability_is_recorded_once(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.call_tool("rings", {"tree": "oak"})
    server.say("112")

    agent(capabilities=[Treerings()]).run_sync("?")

    assert captured.outline() == "agent forester\n  llm OpenAIChatModel\n  tool rings\n  llm OpenAIChatModel"


def test_nothing_is_recorded_while_disabled(captured: Capture) -> None:
    captured.recorder.enabled = False

    Agent(TestModel()).run_sync("?")

    captured.recorder.enabled = True
    assert captured.outline() == ""


def test_after_uninstrument_nothing_is_recorded(captured: Capture) -> None:
    integration.uninstrument()

    Agent(TestModel()).run_sync("?")

    assert captured.outline() == ""


def test_the_probe_is_complete(captured: Capture) -> None:
    def answer(request: Any) -> Answer:
        return Answer("112") if request.tool_result else Answer(tool_calls=[ToolCall("ring_count", {"tree": "oak"})])

    with ModelServer(default=answer) as server:
        integration.probe(server.base_url)

    assert {str(step.kind) for step in captured.steps} == {"agent", "llm", "tool"}


def test_many_runs_leave_nothing(captured: Capture) -> None:
    agent = Agent(TestModel(), name="forester")

    for _ in range(300):
        agent.run_sync("?")

    assert len(RUNS) == 0
    assert len(captured.workflows) == 300


def test_a_failure_of_ours_does_not_reach_the_run(captured: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured.recorder, "start", lambda *_args, **_options: 1 / 0)

    assert Agent(TestModel(custom_output_text="112")).run_sync("?").output == "112"


def test_opentelemetry_is_not_switched_on(captured: Capture) -> None:
    assert Agent._instrument_default is False


def test_the_package_imports_no_framework(run_program: Callable[..., Any]) -> None:
    run_program("""
        import sys
        import treerings_pydantic_ai, treerings_pydantic_ai.plugin
        assert "pydantic_ai" not in sys.modules
    """)
