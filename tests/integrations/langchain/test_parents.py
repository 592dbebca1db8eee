"""Where a run hangs: under the step whose code started it, whatever id its callback names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from treerings.testing import Capture, ModelServer
from treerings_langchain import CallbackHandler


class State(TypedDict, total=False):
    text: str
    seen: Annotated[list[str], lambda a, b: (a or []) + (b or [])]


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


def test_a_chain_hangs_its_steps_under_one_root(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.say("ninety")
    chain = RunnableLambda(lambda text: text.upper()).with_config(run_name="shout") | model()

    invoke(chain, "how old?")

    assert captured.outline() == "workflow RunnableSequence\n  chain shout\n  llm ChatOpenAI"


def test_concurrent_async_branches_stay_apart(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.say("yes", times=None)

    def branch(name: str) -> Any:
        return (RunnableLambda(lambda text: text).with_config(run_name=f"to {name}") | model()).with_config(
            run_name=name
        )

    invoke(RunnableParallel(oak=branch("oak"), elm=branch("elm")), "alive?")

    expected = {
        "chain oak": ["chain to oak", "llm ChatOpenAI"],
        "chain elm": ["chain to elm", "llm ChatOpenAI"],
    }
    below = captured.workflow.children()
    root = captured.workflow.root
    assert root is not None
    assert {
        f"{step.kind} {step.name}": [f"{child.kind} {child.name}" for child in below[step.id]]
        for step in below[root.id]
    } == expected


def test_a_handler_on_the_model_alone_makes_the_model_call_the_root(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.say("ninety")
    chain = RunnableLambda(lambda text: text) | model(callbacks=[CallbackHandler()])

    invoke(chain, "how old?", {})

    assert captured.outline() == "llm ChatOpenAI"
    assert captured.step("llm").attributes["external_parent_id"]


def test_callbacks_passed_again_in_a_lambda_stay_in_the_tree(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    server.say("ninety")

    def work(text: str) -> Any:
        return model().invoke(text, {"callbacks": traced["callbacks"]})

    async def awork(text: str) -> Any:
        return await model().ainvoke(text, {"callbacks": traced["callbacks"]})

    invoke(RunnableLambda(work, awork).with_config(run_name="work") | RunnableLambda(lambda m: m.text), "how old?")

    assert captured.outline() == ("workflow RunnableSequence\n  chain work\n    llm ChatOpenAI\n  chain RunnableLambda")


def test_callbacks_passed_again_in_a_node_stay_in_the_tree(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.say("ninety")

    def ask(state: State) -> State:
        return {"text": model().invoke("how old?", {"callbacks": [CallbackHandler()]}).text}

    async def aask(state: State) -> State:
        return {"text": (await model().ainvoke("how old?", {"callbacks": [CallbackHandler()]})).text}

    graph = StateGraph(State).add_node("ask", RunnableLambda(ask, aask)).add_edge(START, "ask").compile()

    invoke(graph, {"text": ""})

    assert captured.outline() == "workflow LangGraph\n  node ask\n    llm ChatOpenAI"


def test_a_config_passed_by_hand_does_not_skip_the_running_step(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.say("ninety")

    def outer(text: str, config: Any) -> Any:
        inner = RunnableLambda(lambda question: model().invoke(question, config)).with_config(run_name="inner")
        return inner.invoke(text)

    async def aouter(text: str, config: Any) -> Any:
        async def ask(question: str) -> Any:
            return await model().ainvoke(question, config)

        return await RunnableLambda(ask).with_config(run_name="inner").ainvoke(text)

    invoke(RunnableLambda(outer, aouter).with_config(run_name="outer"), "how old?")

    assert captured.outline() == "workflow outer\n  chain inner\n    llm ChatOpenAI"


def test_nodes_of_one_name_at_one_step_are_separate(captured: Capture, invoke: Callable[..., Any]) -> None:
    def work(state: Any) -> State:
        return {"seen": [RunnableLambda(lambda text: text).with_config(run_name=state["text"]).invoke(state["text"])]}

    graph = (
        StateGraph(State)
        .add_node("work", work)
        .add_conditional_edges(START, lambda state: [Send("work", {"text": "oak"}), Send("work", {"text": "elm"})])
        .compile()
    )

    invoke(graph, {"text": ""})

    workflow = captured.workflow
    nodes = [step for step in workflow.steps if step.name == "work"]
    names = sorted(child.name for node in nodes for child in workflow.children()[node.id])
    assert (len(nodes), names) == (2, ["elm", "oak"])


def test_tool_calls_of_one_name_at_once_are_separate(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tools([("measure", {"tree": "oak"}), ("measure", {"tree": "elm"})]).say("Both ninety.")

    invoke(create_agent(model(), [measure]), {"messages": [("user", "how old?")]})

    tools = [step for step in captured.steps if step.kind == "tool"]
    call = next(step for step in captured.steps if step.kind == "llm")
    assert sorted(str(step.input["tree"]) for step in tools) == ["elm", "oak"]
    assert len({step.attributes["tool_call_id"] for step in tools}) == 2
    assert {step.attributes["called_by"] for step in tools} == {call.id}


def test_agent_middleware_keeps_the_tree_whole(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    class Around(AgentMiddleware[Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request)

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            return await handler(request)

        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return handler(request)

        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            return await handler(request)

    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")

    invoke(create_agent(model(), [measure], middleware=[Around()], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == (
        "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n    tool measure\n  node model\n    llm ChatOpenAI"
    )


def test_a_subgraph_called_inside_a_node_hangs_under_the_node(captured: Capture, invoke: Callable[..., Any]) -> None:
    inner = (
        StateGraph(State).add_node("leaf", lambda state: {"text": "x"}).add_edge(START, "leaf").compile(name="inner")
    )

    def call(state: State) -> State:
        return {"text": inner.invoke({"text": ""})["text"]}

    async def acall(state: State) -> State:
        return {"text": (await inner.ainvoke({"text": ""}))["text"]}

    outer = (
        StateGraph(State)
        .add_node("call", RunnableLambda(call, acall))
        .add_node("direct", inner)
        .add_edge(START, "call")
        .add_edge("call", "direct")
        .add_edge("direct", END)
        .compile(name="outer")
    )

    invoke(outer, {"text": ""})

    assert captured.outline() == (
        "workflow outer\n  node call\n    workflow inner\n      node leaf\n  node direct\n    workflow inner\n      node leaf"
    )


def test_two_workflows_at_once_on_one_handler_do_not_mix(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.say("yes", times=None)

    async def ask(name: str) -> None:
        chain = (RunnableLambda(lambda text: text) | model()).with_config(run_name=name)
        await chain.ainvoke(name, traced)

    async def main() -> None:
        await asyncio.gather(*(ask(f"w{n}") for n in range(20)))

    asyncio.run(main())

    outlines = sorted(captured.outline().split("\n\n"))
    assert outlines == sorted(f"workflow w{n}\n  chain RunnableLambda\n  llm ChatOpenAI" for n in range(20))


def test_each_workflow_has_the_thread_of_its_own_run(captured: Capture, traced: dict[str, Any]) -> None:
    graph = StateGraph(State).add_node("work", lambda state: {"text": "x"}).add_edge(START, "work").compile()

    graph.invoke({"text": ""}, {**traced, "configurable": {"thread_id": "one"}})
    graph.invoke({"text": ""}, {**traced, "configurable": {"thread_id": "two"}})
    graph.invoke({"text": ""}, traced)

    assert [workflow.session_id for workflow in captured.workflows] == ["one", "two", None]


def test_a_run_between_two_items_of_a_stream_is_not_part_of_it(captured: Capture, traced: dict[str, Any]) -> None:
    graph = (
        StateGraph(State)
        .add_node("a", lambda state: {"text": "a"})
        .add_node("b", lambda state: {"text": "b"})
        .add_edge(START, "a")
        .add_edge("a", "b")
        .compile()
    )
    other = RunnableLambda(lambda text: text).with_config(run_name="other")

    async def read() -> None:
        async for update in graph.astream({"text": ""}, traced):
            if "a" in update:
                await other.ainvoke("oak", traced)

    stream = graph.stream({"text": ""}, traced)
    next(stream)
    other.invoke("oak", traced)
    list(stream)
    asyncio.run(read())

    one = "workflow LangGraph\n  node a\n  node b\n\nworkflow other"
    assert captured.outline() == f"{one}\n\n{one}"
