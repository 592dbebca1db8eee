"""Payloads are plain bounded copies, taken when the event happens; dimensions, tags and metadata come along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph
from treerings.testing import Capture, ModelServer
from treerings_langchain import CallbackHandler

Make = Callable[..., Any]


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document("rings", metadata={"page": 4}, id="d1")]


def test_messages_are_roles_and_contents(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("Ninety.")

    model().invoke([("system", "Be brief."), ("user", "How old?")], traced)

    step = captured.step("llm")
    assert step.input == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How old?"}]
    assert step.output == {"role": "assistant", "content": "Ninety."}


def test_documents_are_contents_and_metadata(captured: Capture, traced: dict[str, Any]) -> None:
    Shelf().invoke("oak", traced)

    step = captured.step("retriever")
    assert step.input == "oak"
    assert step.output == [{"content": "rings", "metadata": {"page": 4}, "id": "d1"}]


def test_an_image_in_a_message_is_its_size(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("A tree.")
    image = "data:image/png;base64," + "iVBOR" * 2_000

    model().invoke([HumanMessage([{"type": "image_url", "image_url": {"url": image}}])], traced)

    assert "iVBORiVBOR" not in str(captured.step("llm").input)


def test_what_changes_after_the_event_does_not_show(captured: Capture, traced: dict[str, Any]) -> None:
    def spoil(state: dict[str, Any]) -> dict[str, Any]:
        state["trees"].append("fir")
        return state

    given = {"trees": ["oak"]}
    RunnableLambda(spoil).invoke(given, traced)
    given["trees"].clear()

    step = captured.steps[0]
    assert (step.input, step.output) == ({"trees": ["oak"]}, {"trees": ["oak", "fir"]})


def test_the_users_objects_are_left_as_they_were(captured: Capture) -> None:
    metadata = {"session_id": "s", "nested": {"a": [1]}}
    state = {"messages": [HumanMessage("a"), AIMessage("b")]}
    config: Any = {"callbacks": [CallbackHandler()], "metadata": metadata, "tags": ["x"]}

    RunnableLambda(lambda value: value).invoke(state, config)

    assert metadata == {"session_id": "s", "nested": {"a": [1]}}
    assert state == {"messages": [HumanMessage("a"), AIMessage("b")]}
    assert config["tags"] == ["x"]


def test_dimensions_come_from_the_metadata(captured: Capture, traced: dict[str, Any]) -> None:
    config = {**traced, "metadata": {"session_id": "s-1", "user_id": "u-1", "tenant_id": 7}}

    (RunnableLambda(str) | RunnableLambda(str)).invoke("x", config)

    assert {(s.session_id, s.user_id, s.tenant_id) for s in captured.steps} == {("s-1", "u-1", "7")}


def test_a_thread_of_langgraph_is_the_session(captured: Capture, traced: dict[str, Any]) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("work", lambda state: {})
    graph.add_edge(START, "work")

    graph.compile().invoke({"messages": []}, {**traced, "configurable": {"thread_id": "t-1"}})

    assert {step.session_id for step in captured.steps} == {"t-1"}


def test_the_calls_metadata_goes_before_the_handlers_dimensions(captured: Capture) -> None:
    handler = CallbackHandler(session_id="default", user_id="u-1")

    RunnableLambda(str).invoke("x", {"callbacks": [handler], "metadata": {"session_id": "s-1"}})

    assert (captured.steps[0].session_id, captured.steps[0].user_id) == ("s-1", "u-1")


def test_an_inner_call_may_be_of_another_user(captured: Capture, traced: dict[str, Any]) -> None:
    inner = RunnableLambda(str)
    outer = RunnableLambda(lambda text: inner.invoke(text, {"metadata": {"user_id": "u-2"}}))

    outer.invoke("x", {**traced, "metadata": {"user_id": "u-1"}})

    assert [step.user_id for step in captured.steps] == ["u-1", "u-2"]


def test_the_users_tags_are_kept_and_positions_are_not(captured: Capture, traced: dict[str, Any]) -> None:
    (RunnableLambda(str) | RunnableLambda(str)).invoke("x", {**traced, "tags": ["nightly"]})

    assert [step.attributes["tags"] for step in captured.steps] == [["nightly"]] * 3


def test_metadata_is_kept_where_it_is_given(captured: Capture, traced: dict[str, Any]) -> None:
    inner = RunnableLambda(str).with_config(metadata={"stage": "two"})

    (RunnableLambda(str) | inner).invoke("x", {**traced, "metadata": {"release": "1.2"}})

    assert [step.attributes.get("metadata") for step in captured.steps] == [{"release": "1.2"}, None, {"stage": "two"}]


@pytest.mark.parametrize("status", ["success", "error"])
def test_a_tool_message_says_when_it_failed(captured: Capture, traced: dict[str, Any], status: Any) -> None:
    RunnableLambda(lambda _: ToolMessage("x", tool_call_id="1", status=status)).invoke(0, traced)

    assert captured.steps[0].output.get("status") == ("error" if status == "error" else None)
