"""Agents are told by structure: named, unnamed, nested, prebuilt, hand-made graphs; each call's cost is its agent's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Send
from treerings.testing import Capture, ModelServer

Make = Callable[..., Any]
QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


def asking(name: str, runnable: Any) -> BaseTool:
    """A tool that asks an agent or a graph."""

    def ask(question: str) -> str:
        return str(runnable.invoke({"messages": [("user", question)]})["messages"][-1].content)

    return StructuredTool.from_function(ask, name=name, description="Ask.")


def model_graph(model: Any, node: str) -> Any:
    """A plain graph with one node that calls the model."""
    graph = StateGraph(MessagesState)
    graph.add_node(node, lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, node)
    return graph.compile()


def agents(captured: Capture) -> list[str | None]:
    """The agent of each model call, in their order."""
    return [step.agent for step in captured.steps if step.kind == "llm"]


def test_a_named_agent(captured: Capture, server: ModelServer, model: Make, invoke: Make) -> None:
    server.call_tool("measure", {"tree": "oak"}).say("90")

    invoke(create_agent(model(), [measure], name="forester"), QUESTION)

    assert captured.outline() == (
        "agent forester\n"
        "  node model\n"
        "    llm ChatOpenAI\n"
        "  node tools\n"
        "    tool measure\n"
        "  node model\n"
        "    llm ChatOpenAI"
    )


def test_an_agent_without_a_name_is_an_agent(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("90")

    create_agent(model(), [measure]).invoke(QUESTION, traced)

    assert captured.outline() == "agent agent\n  node model\n    llm ChatOpenAI"


def test_a_prebuilt_agent_is_an_agent_under_its_name(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    from langgraph.prebuilt import create_react_agent

    server.call_tool("measure", {"tree": "oak"}).say("90")

    create_react_agent(model(), [measure], name="forester").invoke(QUESTION, traced)

    assert captured.outline(show=("agent",)) == (
        "agent forester agent=forester\n"
        "  node agent agent=forester\n"
        "    llm ChatOpenAI agent=forester\n"
        "  node tools agent=forester\n"
        "    tool measure agent=forester\n"
        "  node agent agent=forester\n"
        "    llm ChatOpenAI agent=forester"
    )


def test_a_prebuilt_agent_without_tools_is_an_agent(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    from langgraph.prebuilt import create_react_agent

    server.say("90")

    create_react_agent(model(), []).invoke(QUESTION, traced)

    assert captured.outline() == "agent agent\n  node agent\n    llm ChatOpenAI"


def test_agents_in_tools_of_agents_two_levels_deep(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("ask_b", {"question": "?"}).call_tool("ask_c", {"question": "?"}).say("c").say("b").say("a")
    third = create_agent(model(), name="c")
    second = create_agent(model(), [asking("ask_c", third)], name="b")

    create_agent(model(), [asking("ask_b", second)], name="a").invoke(QUESTION, traced)

    assert agents(captured) == ["a", "b", "c", "b", "a"]


def test_an_unnamed_agent_under_a_named_one_has_no_part_of_its_name(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("ask", {"question": "?"}).say("inner").say("outer")

    create_agent(model(), [asking("ask", create_agent(model()))], name="outer").invoke(QUESTION, traced)

    assert agents(captured) == ["outer", "agent", "outer"]


@pytest.mark.parametrize("node", ["work", "model", "agent_like"])
def test_a_plain_graph_in_an_agents_tool_is_no_agent(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any], node: str
) -> None:
    server.call_tool("ask", {"question": "?"}).say("inner").say("outer")

    create_agent(model(), [asking("ask", model_graph(model(), node))], name="outer").invoke(QUESTION, traced)

    assert [step.name for step in captured.steps if step.kind == "agent"] == ["outer"]
    assert agents(captured) == ["outer", "outer", "outer"]


def test_an_agent_may_call_one_of_its_own_name(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("ask", {"question": "?"}).say("inner").say("outer")

    create_agent(model(), [asking("ask", create_agent(model(), name="twin"))], name="twin").invoke(QUESTION, traced)

    assert [step.name for step in captured.steps if step.kind == "agent"] == ["twin", "twin"]


def test_the_word_agent_in_a_name_makes_no_agent(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("x")

    model_graph(model(), "my_agent").with_config(run_name="super agent").invoke(QUESTION, traced)

    assert captured.outline() == "workflow super agent\n  node my_agent\n    llm ChatOpenAI"


def test_an_agent_as_a_node_of_a_graph(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("90")
    graph = StateGraph(MessagesState)
    graph.add_node("expert", create_agent(model()))
    graph.add_edge(START, "expert")

    graph.compile(name="team").invoke(QUESTION, traced)

    assert (
        captured.outline() == "workflow team\n  node expert\n    agent agent\n      node model\n        llm ChatOpenAI"
    )


def test_a_hand_made_loop_of_agent_and_tools_is_an_agent(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    from langgraph.prebuilt import ToolNode, tools_condition

    server.call_tool("measure", {"tree": "oak"}).say("90")
    bound = model().bind_tools([measure])
    graph = StateGraph(MessagesState)
    graph.add_node("agent", lambda state: {"messages": [bound.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([measure]))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")

    graph.compile(name="forester").invoke(QUESTION, traced)

    assert agents(captured) == ["forester", "forester"]
    assert captured.steps[0].kind == "agent"


class Watching(AgentMiddleware):
    def before_model(self, state: Any, runtime: Any) -> None:
        return None

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(request)


def test_middleware_adds_its_nodes_and_keeps_the_agent(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("90")

    create_agent(model(), [], name="forester", middleware=[Watching()]).invoke(QUESTION, traced)

    assert captured.outline() == ("agent forester\n  node Watching.before_model\n  node model\n    llm ChatOpenAI")


def test_totals_by_agent_are_the_agents_own(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.call_tool("ask", {"question": "?"}, usage={"input_tokens": 10, "output_tokens": 1})
    server.say("inner", usage={"input_tokens": 200, "output_tokens": 20})
    server.say("outer", usage={"input_tokens": 30, "output_tokens": 3})

    create_agent(model(), [asking("ask", create_agent(model(), name="in"))], name="out").invoke(QUESTION, traced)

    captured.flush()
    totals = {total.key["agent"]: total.input_tokens for total in captured.store.totals(["agent"])}
    assert totals == {"out": 40, "in": 200}


class Trees(TypedDict):
    trees: list[str]
    rings: Annotated[list[str], lambda a, b: a + b]


def test_nodes_sent_in_parallel_are_steps_of_their_own(captured: Capture, invoke: Make) -> None:
    graph = StateGraph(Trees)
    graph.add_node("count", lambda tree: {"rings": [tree]})
    graph.add_conditional_edges(START, lambda state: [Send("count", tree) for tree in state["trees"]], ["count"])

    invoke(graph.compile(name="count all"), {"trees": ["oak", "elm", "fir"], "rings": []})

    counted = [step for step in captured.steps if step.name == "count"]
    assert {str(step.kind) for step in counted} == {"node"}
    assert [step.name for step in counted] == ["count"] * 3
    assert {step.input for step in counted} == {"oak", "elm", "fir"}


def test_tasks_of_the_functional_interface(captured: Capture, invoke: Make) -> None:
    @task
    def count(tree: str) -> str:
        return f"{tree}: 90"

    @entrypoint()
    def survey(trees: list[str]) -> list[str]:
        return [future.result() for future in [count(tree) for tree in trees]]

    invoke(survey, ["oak", "elm"])

    assert captured.outline() == "workflow LangGraph\n  node survey\n    task count\n    task count"


def test_a_subgraph_is_a_workflow_in_its_node(captured: Capture, traced: dict[str, Any]) -> None:
    inner = StateGraph(Trees)
    inner.add_node("count", lambda state: {"rings": ["90"]})
    inner.add_edge(START, "count")
    outer = StateGraph(Trees)
    outer.add_node("survey", inner.compile(name="inner"))
    outer.add_edge(START, "survey")

    outer.compile(name="outer").invoke({"trees": [], "rings": []}, traced)

    assert captured.outline() == "workflow outer\n  node survey\n    workflow inner\n      node count"
