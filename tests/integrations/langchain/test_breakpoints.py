"""Static breakpoints: told only to handlers that are passed in the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest
import treerings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from treerings.testing import Capture

THREAD = {"configurable": {"thread_id": "t-1"}}


class State(TypedDict, total=False):
    text: str


def stopping(**options: Any) -> Any:
    return (
        StateGraph(State)
        .add_node("a", lambda state: {"text": "a"})
        .add_node("b", lambda state: {"text": "b"})
        .add_edge(START, "a")
        .add_edge("a", "b")
        .compile(checkpointer=InMemorySaver(), **options)
    )


@pytest.mark.parametrize("options", [{"interrupt_before": ["b"]}, {"interrupt_after": ["a"]}])
def test_a_breakpoint_interrupts_the_graph(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any], options: dict[str, Any]
) -> None:
    invoke(stopping(**options), {"text": ""}, {**traced, **THREAD})

    assert captured.outline() == "workflow LangGraph interrupted\n  node a"


def test_going_on_after_a_breakpoint_is_linked(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    graph = stopping(interrupt_before=["b"])

    invoke(graph, {"text": ""}, {**traced, **THREAD})
    invoke(graph, None, {**traced, **THREAD})

    first, second = captured.workflows
    assert captured.outline() == "workflow LangGraph interrupted\n  node a\n\nworkflow LangGraph\n  node b"
    assert second.steps[0].attributes["resumes"] == first.id


def test_a_breakpoint_is_not_told_to_the_global_handler(captured: Capture, invoke: Callable[..., Any]) -> None:
    treerings.instrument("langchain")

    invoke(stopping(interrupt_before=["b"]), {"text": ""}, THREAD)
    treerings.uninstrument("langchain")

    assert captured.outline() == "workflow LangGraph\n  node a"
