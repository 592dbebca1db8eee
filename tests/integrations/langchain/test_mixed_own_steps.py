"""Own steps and LangChain's in one tree, either inside the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypedDict

import treerings
from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from treerings.testing import Capture, ModelServer

leaf = RunnableLambda(lambda text: text).with_config(run_name="leaf")


class State(TypedDict, total=False):
    text: str


def test_an_own_step_in_a_tool_hangs_under_the_tool(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    @tool
    def measure(tree: str) -> str:
        """Count the rings of a tree."""
        with treerings.step("task", "count"):
            return f"{tree} has 90 rings"

    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")

    invoke(create_agent(model(), [measure], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == (
        "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n    tool measure\n      task count\n"
        "  node model\n    llm ChatOpenAI"
    )


def test_langchain_in_an_own_step_in_a_node_hangs_under_the_own_step(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    def ask(state: State) -> State:
        with treerings.step("task", "ask"):
            return {"text": model().invoke("how old?").text}

    async def aask(state: State) -> State:
        async with treerings.step("task", "ask"):
            return {"text": (await model().ainvoke("how old?")).text}

    server.say("ninety")
    graph = StateGraph(State).add_node("node", RunnableLambda(ask, aask)).add_edge(START, "node").compile()

    invoke(graph, {"text": ""})

    assert captured.outline() == "workflow LangGraph\n  node node\n    task ask\n      llm ChatOpenAI"


def test_a_graph_in_an_own_step_hangs_under_it(captured: Capture, invoke: Callable[..., Any]) -> None:
    graph = StateGraph(State).add_node("node", lambda state: {"text": "x"}).add_edge(START, "node").compile()

    with treerings.step("workflow", "job"):
        invoke(graph, {"text": ""})

    assert captured.outline() == "workflow job\n  workflow LangGraph\n    node node"


def test_own_steps_keep_the_tree_across_a_carried_thread(captured: Capture, traced: dict[str, Any]) -> None:
    def top(text: str) -> str:
        with treerings.step("task", "own"):
            thread = threading.Thread(target=treerings.carry(lambda: leaf.invoke(text)))
            thread.start()
            thread.join(10)
        return text

    RunnableLambda(top).invoke("oak", traced)

    assert captured.outline() == "workflow top\n  task own\n    chain leaf"


def test_own_steps_keep_the_tree_across_tasks(captured: Capture, traced: dict[str, Any]) -> None:
    @treerings.step("task", "own")
    async def own(text: str) -> str:
        result: str = await asyncio.create_task(leaf.ainvoke(text))
        return result

    async def top(text: str) -> str:
        await asyncio.gather(own(text), own(text))
        return text

    asyncio.run(RunnableLambda(top).ainvoke("oak", traced))

    below = captured.workflow.children()
    own_steps = [step for step in captured.steps if step.name == "own"]
    assert captured.workflow.totals.steps == 5
    assert [[child.name for child in below[step.id]] for step in own_steps] == [["leaf"], ["leaf"]]


def test_a_run_after_an_own_step_ended_hangs_under_what_is_still_open(
    captured: Capture, traced: dict[str, Any]
) -> None:
    def top(text: str) -> str:
        with treerings.step("task", "own"):
            pass
        result: str = leaf.invoke(text)
        return result

    RunnableLambda(top).invoke("oak", traced)

    assert captured.outline() == "workflow top\n  task own\n  chain leaf"


def test_an_own_generator_that_is_streamed_in_a_node_does_not_catch_later_runs(
    captured: Capture, traced: dict[str, Any]
) -> None:
    @treerings.step("task", "own")
    def numbers() -> Any:
        yield leaf.invoke("1")
        yield leaf.invoke("2")

    def top(text: str) -> str:
        items = numbers()
        next(items)
        leaf.with_config(run_name="between").invoke(text)
        list(items)
        return text

    RunnableLambda(top).invoke("oak", traced)

    assert captured.outline() == "workflow top\n  task own\n    chain leaf\n    chain leaf\n  chain between"


def test_labels_around_a_run_are_on_all_its_steps(captured: Capture, invoke: Callable[..., Any]) -> None:
    with treerings.labels(user_id="u1", team="growth"):
        invoke(leaf | leaf, "oak")

    assert {(step.user_id, step.labels["team"]) for step in captured.steps} == {("u1", "growth")}


def test_an_outer_own_step_is_ok_when_the_graph_inside_is_interrupted(
    captured: Capture, traced: dict[str, Any]
) -> None:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.types import interrupt

    def ask(state: State) -> State:
        return {"text": interrupt("sure?")}

    graph = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=InMemorySaver())

    with treerings.step("workflow", "job"):
        graph.invoke({"text": ""}, {**traced, "configurable": {"thread_id": "t"}})

    assert captured.outline() == "workflow job\n  workflow LangGraph interrupted\n    node ask interrupted"
