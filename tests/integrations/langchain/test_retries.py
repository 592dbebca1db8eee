"""Retries: every attempt is a step, numbered from the second on; a failed one does not fail the workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy
from treerings.testing import Capture, ModelServer


class State(TypedDict, total=False):
    text: str


class Flaky:
    """Fails so many times, then works."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def __call__(self, value: Any) -> Any:
        if self.left:
            self.left -= 1
            raise ConnectionError("bad line")
        return value


def retried(step: Any) -> Any:
    return step.with_retry(
        stop_after_attempt=3, wait_exponential_jitter=False, retry_if_exception_type=(ConnectionError,)
    )


def test_attempts_of_with_retry_are_numbered_siblings(captured: Capture, invoke: Callable[..., Any]) -> None:
    invoke(retried(RunnableLambda(Flaky(2)).with_config(run_name="work")), "oak")

    assert captured.outline(show=("attempt",)) == (
        "workflow work\n  chain RunnableLambda error\n  chain RunnableLambda error attempt=2\n  chain RunnableLambda attempt=3"
    )


def test_attempts_of_a_node_are_numbered(captured: Capture, invoke: Callable[..., Any]) -> None:
    policy = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=3)
    graph = StateGraph(State).add_node("work", Flaky(2), retry_policy=policy).add_edge(START, "work").compile()

    invoke(graph, {"text": "oak"})

    assert captured.outline(show=("attempt",)) == (
        "workflow LangGraph\n  node work error\n  node work error attempt=2\n  node work attempt=3"
    )
    assert captured.workflow.totals.failed_steps == 2


def test_a_node_that_loops_is_no_second_attempt(captured: Capture, invoke: Callable[..., Any]) -> None:
    graph = (
        StateGraph(State)
        .add_node("work", lambda state: {"text": state["text"] + "x"})
        .add_edge(START, "work")
        .add_conditional_edges("work", lambda state: "work" if len(state["text"]) < 3 else "__end__")
        .compile()
    )

    invoke(graph, {"text": ""})

    assert captured.outline(show=("attempt",)) == "workflow LangGraph\n  node work\n  node work\n  node work"


def test_attempts_that_run_out_fail_the_workflow(captured: Capture, invoke: Callable[..., Any]) -> None:
    with pytest.raises(ConnectionError):
        invoke(retried(RunnableLambda(Flaky(5)).with_config(run_name="work")), "oak")

    assert captured.outline(show=("attempt",)) == (
        "workflow work error\n  chain RunnableLambda error\n  chain RunnableLambda error attempt=2\n"
        "  chain RunnableLambda error attempt=3"
    )


def test_a_retried_model_call_is_two_attempts(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.fail(500).say("ninety")

    invoke(model().with_retry(stop_after_attempt=2, wait_exponential_jitter=False), "how old?")

    assert captured.outline(show=("attempt",)) == (
        "workflow ChatOpenAI\n  llm ChatOpenAI error\n  llm ChatOpenAI attempt=2"
    )


def test_retries_inside_the_client_are_one_call(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.fail(500, retry_after=0, times=2).say("ninety")

    invoke(model(max_retries=2), "how old?")

    assert captured.outline() == "llm ChatOpenAI"
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_a_tool_that_is_retried_by_middleware_runs_again(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    works = Flaky(1)

    @tool
    def measure(tree: str) -> str:
        """Count the rings of a tree."""
        return str(works(tree))

    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")
    retry = ToolRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)

    invoke(create_agent(model(), [measure], middleware=[retry], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == (
        "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n    tool measure error\n    tool measure\n"
        "  node model\n    llm ChatOpenAI"
    )
