"""Deep agents: subagents run in the tool `task` of the agent that asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import tool
from treerings.testing import Capture, ModelServer

pytest.importorskip("deepagents")

from deepagents import create_deep_agent

QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


@pytest.fixture
def agent(model: Callable[..., Any], server: ModelServer) -> Any:
    counter: Any = {"name": "counter", "description": "Counts.", "system_prompt": "Count.", "tools": [measure]}
    server.call_tool("task", {"description": "Count it", "subagent_type": "counter"})
    server.call_tool("measure", {"tree": "oak"}).say("90").say("Ninety.")
    return create_deep_agent(model=model(), subagents=[counter])


def test_a_subagent_is_an_agent_in_the_tool_that_asked_for_it(
    captured: Capture, agent: Any, invoke: Callable[..., Any]
) -> None:
    invoke(agent, QUESTION)

    told = [step for step in captured.steps if step.kind in ("agent", "llm", "tool")]
    assert [f"{step.kind} {step.name} {step.agent}" for step in told] == [
        "agent agent agent",
        "llm ChatOpenAI agent",
        "tool task agent",
        "agent counter counter",
        "llm ChatOpenAI counter",
        "tool measure counter",
        "llm ChatOpenAI counter",
        "llm ChatOpenAI agent",
    ]


def test_the_tokens_of_a_deep_agent_are_those_served(
    captured: Capture, agent: Any, server: ModelServer, traced: dict[str, Any]
) -> None:
    agent.invoke(QUESTION, traced)

    served, totals = server.usage_served, captured.workflow.totals
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)
