"""Interrupts: a run that waits for a person is interrupted at every level, and its resume says what it takes up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
import treerings
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from treerings.testing import Capture, ModelServer

THREAD = {"configurable": {"thread_id": "t-1"}}


class State(TypedDict, total=False):
    text: str


@tool
def fell(tree: str) -> str:
    """Fell a tree."""
    return f"{tree}: {interrupt('sure?')}"


def ask(state: State) -> State:
    return {"text": interrupt("sure?")}


def asking(**options: Any) -> Any:
    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile(**options)


def test_an_interrupted_node_interrupts_its_graph(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    invoke(asking(checkpointer=InMemorySaver()), {"text": ""}, {**traced, **THREAD})

    assert captured.outline() == "workflow LangGraph interrupted\n  node ask interrupted"
    assert captured.workflow.totals.failed_steps == 0
    assert captured.workflow.error is None


def test_an_interrupt_in_a_subgraph_interrupts_everything_around_it(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    outer = StateGraph(State).add_node("inner", asking(name="inner")).add_edge(START, "inner")

    invoke(outer.compile(checkpointer=InMemorySaver()), {"text": ""}, {**traced, **THREAD})

    assert captured.outline() == (
        "workflow LangGraph interrupted\n  node inner interrupted\n    workflow inner interrupted\n"
        "      node ask interrupted"
    )


def test_a_chain_around_an_interrupted_graph_is_interrupted(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    chain = asking(checkpointer=InMemorySaver()) | RunnableLambda(lambda state: state).with_config(run_name="after")

    invoke(chain, {"text": ""}, {**traced, **THREAD})

    assert captured.outline() == (
        "workflow RunnableSequence interrupted\n  workflow LangGraph interrupted\n    node ask interrupted\n  chain after"
    )


def test_an_interrupted_tool_interrupts_its_agent(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    server.call_tool("fell", {"tree": "oak"})
    agent = create_agent(model(), [fell], checkpointer=InMemorySaver(), name="bob")

    invoke(agent, {"messages": [("user", "fell the oak")]}, {**traced, **THREAD})

    assert captured.outline() == (
        "agent bob interrupted\n  node model\n    llm ChatOpenAI\n  node tools interrupted\n    tool fell interrupted"
    )


def test_a_resume_is_linked_to_the_run_that_it_takes_up(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    server.call_tool("fell", {"tree": "oak"}, id="call_1").say("Felled.")
    agent = create_agent(model(), [fell], checkpointer=InMemorySaver(), name="bob")

    invoke(agent, {"messages": [("user", "fell the oak")]}, {**traced, **THREAD})
    invoke(agent, Command(resume="yes"), {**traced, **THREAD})

    first, second = captured.workflows
    assert second.steps[0].attributes["resumes"] == first.id
    assert (first.status, second.status) == ("interrupted", "ok")
    assert (first.session_id, second.session_id) == ("t-1", "t-1")


def test_a_tool_that_runs_again_names_the_call_that_asked_for_it(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    server.call_tool("fell", {"tree": "oak"}, id="call_1").say("Felled.")
    agent = create_agent(model(), [fell], checkpointer=InMemorySaver(), name="bob")

    invoke(agent, {"messages": [("user", "fell the oak")]}, {**traced, **THREAD})
    invoke(agent, Command(resume="yes"), {**traced, **THREAD})

    first, second = (step for step in captured.steps if step.kind == "tool")
    call = next(step for step in captured.steps if step.kind == "llm")
    assert (first.status, second.status) == ("interrupted", "ok")
    assert {step.attributes["tool_call_id"] for step in (first, second)} == {"call_1"}
    assert {step.attributes["called_by"] for step in (first, second)} == {call.id}


def test_a_new_question_on_an_interrupted_thread_is_no_resume(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    graph = asking(checkpointer=InMemorySaver())

    invoke(graph, {"text": ""}, {**traced, **THREAD})
    invoke(graph, {"text": "again"}, {**traced, **THREAD})

    assert "resumes" not in captured.workflows[1].steps[0].attributes


def test_a_second_interrupt_links_to_the_first_resume(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    def ask_twice(state: State) -> State:
        return {"text": interrupt("sure?") + interrupt("really?")}

    graph = StateGraph(State).add_node("ask", ask_twice).add_edge(START, "ask").compile(checkpointer=InMemorySaver())

    invoke(graph, {"text": ""}, {**traced, **THREAD})
    invoke(graph, Command(resume="yes"), {**traced, **THREAD})
    invoke(graph, Command(resume="yes"), {**traced, **THREAD})

    one, two, three = captured.workflows
    assert [workflow.status for workflow in (one, two, three)] == ["interrupted", "interrupted", "ok"]
    assert [w.steps[0].attributes.get("resumes") for w in (one, two, three)] == [None, one.id, two.id]


def test_threads_do_not_take_up_each_others_interrupts(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    graph = asking(checkpointer=InMemorySaver())
    for thread_id in ("a", "b"):
        invoke(graph, {"text": ""}, {**traced, "configurable": {"thread_id": thread_id}})
    for thread_id in ("a", "b"):
        invoke(graph, Command(resume="yes"), {**traced, "configurable": {"thread_id": thread_id}})

    workflows = captured.workflows
    assert [w.steps[0].attributes.get("resumes") for w in workflows[2:]] == [w.id for w in workflows[:2]]


def test_a_person_who_rejects_a_tool_call_leaves_no_tool_step(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    server.call_tool("fell", {"tree": "oak"}).say("As you like.")
    agent = create_agent(
        model(),
        [fell],
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"fell": True})],
        checkpointer=InMemorySaver(),
        name="bob",
    )

    invoke(agent, {"messages": [("user", "fell the oak")]}, {**traced, **THREAD})
    invoke(agent, Command(resume={"decisions": [{"type": "reject", "message": "no"}]}), {**traced, **THREAD})

    first, second = captured.workflows
    assert (first.status, second.status) == ("interrupted", "ok")
    assert second.steps[0].attributes["resumes"] == first.id
    assert not [step for step in captured.steps if step.kind == "tool"]


def test_an_interrupted_stream_is_interrupted(captured: Capture, traced: dict[str, Any]) -> None:
    config: Any = {**traced, **THREAD}

    async def read() -> None:
        async for _ in asking(checkpointer=InMemorySaver()).astream({"text": ""}, config):
            pass

    list(asking(checkpointer=InMemorySaver()).stream({"text": ""}, config))
    asyncio.run(read())

    assert captured.outline() == "\n\n".join(["workflow LangGraph interrupted\n  node ask interrupted"] * 2)


def test_an_interrupted_task_interrupts_its_entrypoint(captured: Capture, traced: dict[str, Any]) -> None:
    @task
    def confirm(text: str) -> str:
        answer: str = interrupt("sure?")
        return answer

    @entrypoint(checkpointer=InMemorySaver())
    def flow(text: str) -> str:
        return confirm(text).result()

    flow.invoke("oak", {**traced, **THREAD})

    assert captured.outline() == (
        "workflow LangGraph interrupted\n  node flow interrupted\n    task confirm interrupted"
    )


def test_an_interrupted_async_task_interrupts_its_entrypoint(captured: Capture, traced: dict[str, Any]) -> None:
    @task
    async def confirm(text: str) -> str:
        answer: str = interrupt("sure?")
        return answer

    @entrypoint(checkpointer=InMemorySaver())
    async def flow(text: str) -> str:
        return await confirm(text)

    asyncio.run(flow.ainvoke("oak", {**traced, **THREAD}))

    assert captured.outline() == (
        "workflow LangGraph interrupted\n  node flow interrupted\n    task confirm interrupted"
    )


def test_an_interrupt_in_one_of_two_parallel_nodes_interrupts_the_graph(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    class Both(TypedDict, total=False):
        left: str
        right: str

    graph = (
        StateGraph(Both)
        .add_node("left", lambda state: {"left": interrupt("sure?")})
        .add_node("right", lambda state: {"right": "done"})
        .add_edge(START, "left")
        .add_edge(START, "right")
        .compile(checkpointer=InMemorySaver())
    )

    invoke(graph, {}, {**traced, **THREAD})

    statuses = {step.name: step.status for step in captured.steps if not step.attributes.get("hidden")}
    assert statuses == {"LangGraph": "interrupted", "left": "interrupted", "right": "ok"}


def test_a_users_exception_of_the_same_name_is_an_error(captured: Capture, invoke: Callable[..., Any]) -> None:
    class GraphInterrupt(Exception):  # the name is the point
        pass

    def fail(text: str) -> str:
        raise GraphInterrupt("not LangGraph's")

    with pytest.raises(GraphInterrupt):
        invoke(RunnableLambda(fail), "oak")

    assert captured.outline() == "workflow fail error"


def test_a_resume_is_linked_inside_a_chain_and_an_own_step(
    captured: Capture, invoke: Callable[..., Any], traced: dict[str, Any]
) -> None:
    chain = RunnableLambda(lambda value: value).with_config(run_name="before") | asking(checkpointer=InMemorySaver())

    with treerings.step("workflow", "job"):
        invoke(chain, {"text": ""}, {**traced, **THREAD})
    with treerings.step("workflow", "job"):
        invoke(chain, Command(resume="yes"), {**traced, **THREAD})

    first, second = captured.workflows
    graph = next(step for step in second.steps if step.name == "LangGraph")
    assert graph.attributes["resumes"] == first.id
