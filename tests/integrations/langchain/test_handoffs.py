"""Control flow that travels as exceptions: handoffs, drains, limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from treerings.testing import Capture, ModelServer


class State(TypedDict, total=False):
    text: str


def test_a_command_to_the_parent_graph_is_ok(captured: Capture, invoke: Callable[..., Any]) -> None:
    def leave(state: State) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="other", update={"text": "x"})

    inner = StateGraph(State).add_node("leave", leave).add_edge(START, "leave").compile(name="inner")
    outer = (
        StateGraph(State)
        .add_node("inner", inner, destinations=("other",))
        .add_node("other", lambda state: {"text": state["text"]})
        .add_edge(START, "inner")
        .compile(name="outer")
    )

    invoke(outer, {"text": ""})

    assert captured.outline() == ("workflow outer\n  node inner\n    workflow inner\n      node leave\n  node other")
    assert captured.workflow.totals.failed_steps == 0


def test_a_swarm_hands_over_without_an_error(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    swarm = pytest.importorskip("langgraph_swarm")
    server.call_tool("transfer_to_bob").say("I am Bob.")
    alice = create_agent(model(), [swarm.create_handoff_tool(agent_name="bob")], name="alice")
    bob = create_agent(model(), [swarm.create_handoff_tool(agent_name="alice")], name="bob")

    graph = swarm.create_swarm([alice, bob], default_active_agent="alice").compile(checkpointer=InMemorySaver())
    invoke(graph, {"messages": [("user", "Bob, please")]}, {**traced, "configurable": {"thread_id": "t"}})

    workflow = captured.workflow
    assert (workflow.status, workflow.totals.failed_steps) == ("ok", 0)
    handoff = captured.step("handoff")
    assert (handoff.status, handoff.attributes["handoff_to"], handoff.agent) == ("ok", "bob", "alice")
    assert [step.agent for step in captured.steps if step.kind == "llm"] == ["alice", "bob"]


def test_a_tool_that_commands_the_parent_graph_is_a_handoff(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    @tool
    def pass_on(call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
        """Pass on."""
        return Command(graph=Command.PARENT, goto="other", update={})

    server.call_tool("pass_on")
    agent = create_agent(model(), [pass_on], name="alice")
    graph = (
        StateGraph(agent.builder.state_schema)
        .add_node("alice", agent, destinations=("other",))
        .add_node("other", lambda state: {})
        .add_edge(START, "alice")
        .compile(name="team")
    )

    invoke(graph, {"messages": [("user", "pass on")]})

    assert captured.step("handoff").attributes["handoff_to"] == "other"
    assert (captured.workflow.status, captured.workflow.totals.failed_steps) == ("ok", 0)


def test_the_recursion_limit_is_an_error_of_the_graph(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    graph = (
        StateGraph(State).add_node("a", lambda state: {"text": "a"}).add_edge(START, "a").add_edge("a", "a").compile()
    )

    with pytest.raises(GraphRecursionError):
        invoke(graph, {"text": ""}, {**traced, "recursion_limit": 2})

    root = captured.workflow.steps[0]
    assert (root.status, root.error_type) == ("error", "GraphRecursionError")
    assert [step.status for step in captured.steps if step.name == "a"] == ["ok", "ok"]


def test_a_drained_graph_is_cancelled(captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]) -> None:
    runtime = pytest.importorskip("langgraph.runtime")
    from langgraph.errors import GraphDrained

    control = runtime.RunControl()

    def drain(state: State) -> State:
        control.request_drain("maintenance")
        return {"text": "a"}

    graph = (
        StateGraph(State)
        .add_node("a", drain)
        .add_node("b", lambda state: {"text": "b"})
        .add_edge(START, "a")
        .add_edge("a", "b")
        .add_edge("b", END)
        .compile(checkpointer=InMemorySaver())
    )

    with pytest.raises(GraphDrained):
        invoke(graph, {"text": ""}, {**traced, "configurable": {"thread_id": "t"}}, control=control)

    assert captured.outline() == "workflow LangGraph cancelled\n  node a"
    assert captured.workflow.steps[0].attributes["drained"] is True
