"""The process-wide handler and an explicit one, together and apart."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import treerings
from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from treerings.testing import Capture, ModelServer
from treerings_langchain import CallbackHandler

AGENT = "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n    tool measure\n  node model\n    llm ChatOpenAI"


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


@pytest.fixture
def instrumented() -> Iterator[None]:
    treerings.instrument("langchain")
    yield
    treerings.uninstrument("langchain")


@pytest.mark.usefixtures("instrumented")
def test_an_agent_is_recorded_without_a_handler(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")

    invoke(create_agent(model(), [measure], name="bob"), {"messages": [("user", "how old?")]}, {})

    assert captured.outline() == AGENT


@pytest.mark.usefixtures("instrumented")
def test_an_explicit_handler_beside_the_global_one_records_once(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")

    invoke(create_agent(model(), [measure], name="bob"), {"messages": [("user", "how old?")]})

    assert captured.outline() == AGENT
    assert captured.workflow.totals.llm_calls == 2


@pytest.mark.usefixtures("instrumented")
def test_the_dimensions_of_an_explicit_handler_count_beside_the_global_one(
    captured: Capture, invoke: Callable[..., Any]
) -> None:
    handler = CallbackHandler(session_id="s-1", labels={"team": "growth"})

    invoke(RunnableLambda(str.upper), "oak", {"callbacks": [handler]})

    assert (captured.workflow.session_id, captured.workflow.labels) == ("s-1", {"team": "growth"})


@pytest.mark.usefixtures("instrumented")
def test_instrumenting_twice_records_once(captured: Capture, invoke: Callable[..., Any]) -> None:
    treerings.instrument("langchain")

    invoke(RunnableLambda(str.upper), "oak", {})

    assert captured.outline() == "workflow upper"


def test_nothing_is_recorded_after_uninstrument(captured: Capture, invoke: Callable[..., Any]) -> None:
    treerings.instrument("langchain")
    treerings.uninstrument("langchain")

    invoke(RunnableLambda(str.upper), "oak", {})

    assert captured.workflows == []


def test_instrumenting_again_after_uninstrument_records_once(captured: Capture, invoke: Callable[..., Any]) -> None:
    treerings.instrument("langchain")
    treerings.uninstrument("langchain")
    treerings.instrument("langchain")

    invoke(RunnableLambda(str.upper), "oak", {})
    treerings.uninstrument("langchain")

    assert captured.outline() == "workflow upper"


@pytest.mark.usefixtures("instrumented")
def test_new_threads_and_loops_are_recorded(captured: Capture) -> None:
    thread = threading.Thread(target=lambda: asyncio.run(RunnableLambda(str.upper).ainvoke("oak")))
    thread.start()
    thread.join(10)

    assert captured.outline() == "workflow upper"


def test_a_disabled_recorder_records_nothing(captured: Capture, invoke: Callable[..., Any]) -> None:
    treerings.disable()

    invoke(RunnableLambda(str.upper), "oak")

    assert captured.workflows == []


def test_a_disabled_recorder_has_every_callback_passed_over(captured: Capture) -> None:
    handler = CallbackHandler()
    asked = ("ignore_chain", "ignore_llm", "ignore_chat_model", "ignore_agent", "ignore_retriever")
    before = [getattr(handler, name) for name in asked]
    treerings.disable()

    after = [getattr(handler, name) for name in asked]

    assert (set(before), set(after)) == ({False}, {True})


def test_recording_can_be_switched_on_again(captured: Capture, invoke: Callable[..., Any]) -> None:
    treerings.disable()
    invoke(RunnableLambda(str.upper), "oak")
    treerings.enable()

    invoke(RunnableLambda(str.lower), "oak")

    assert captured.outline() == "workflow lower"


def test_a_handler_survives_copies_and_pickles(captured: Capture) -> None:
    handler = CallbackHandler(session_id="s-1")

    shallow, deep, pickled = copy.copy(handler), copy.deepcopy({"h": [handler]})["h"][0], pickle.dumps(handler)
    RunnableLambda(str.upper).invoke("oak", {"callbacks": [pickle.loads(pickled)]})

    assert shallow is handler
    assert deep is handler
    assert captured.workflow.session_id == "s-1"
