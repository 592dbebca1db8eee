"""The machinery of LangChain and LangGraph is recorded, and hidden until it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langgraph.graph import END, START, MessagesState, StateGraph
from treerings.testing import Capture, ModelServer

Make = Callable[..., Any]


def routed(choose: Callable[[Any], str]) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {})
    graph.add_node("end", lambda state: {})
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", choose, {"more": "end", "stop": END})
    return graph.compile(name="routed")


def more(state: Any) -> str:
    return "more"


def test_prompts_and_parsers_are_hidden(captured: Capture, server: ModelServer, model: Make, invoke: Make) -> None:
    server.say("90")

    invoke(ChatPromptTemplate.from_template("How old is {tree}?") | model() | StrOutputParser(), {"tree": "oak"})

    assert captured.outline() == "workflow RunnableSequence\n  llm ChatOpenAI"


def test_prompts_and_parsers_are_there_for_who_asks(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("90")

    chain = ChatPromptTemplate.from_template("How old is {tree}?") | model() | StrOutputParser()
    chain.invoke({"tree": "oak"}, traced)

    assert captured.outline(hidden=True) == (
        "workflow RunnableSequence\n  chain ChatPromptTemplate\n  llm ChatOpenAI\n  chain StrOutputParser"
    )


def test_conditional_edges_are_hidden(captured: Capture, traced: dict[str, Any]) -> None:
    routed(more).invoke({"messages": []}, traced)

    assert captured.outline() == "workflow routed\n  node ask\n  node end"


def test_a_conditional_edge_is_found_below_its_node(captured: Capture, traced: dict[str, Any]) -> None:
    routed(more).invoke({"messages": []}, traced)

    assert captured.outline(hidden=True) == "workflow routed\n  node ask\n    chain more\n  node end"


def test_a_hidden_step_that_fails_is_counted_and_found(captured: Capture, traced: dict[str, Any]) -> None:
    def broken(state: Any) -> str:
        raise LookupError("no way")

    with pytest.raises(LookupError):
        routed(broken).invoke({"messages": []}, traced)

    failed = captured.step("chain", "broken")
    assert (failed.status, failed.error) == ("error", "no way")
    assert captured.workflow.totals.failed_steps == 3
