"""Whatever objects a program passes around, the run goes on and its steps are recorded to their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypedDict
from uuid import uuid4

import numpy as np
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from pydantic import BaseModel, ConfigDict
from treerings.testing import Capture
from treerings_langchain import CallbackHandler


class Raising:
    """Raises at every question."""

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Columns:
    """Compares like a table: element by element."""

    status: Any = np.array(["error", "ok"])
    graph: Any = np.array(["__parent__"])


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    value: Any
    messages: list[Any] = []


@dataclass
class Data:
    value: Any
    items: list[Any] = field(default_factory=list)


class OddMessage(HumanMessage):
    @property
    def text(self) -> Any:
        raise RuntimeError("text")


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


HOSTILE: list[tuple[str, Callable[[], Any]]] = [
    ("raising", Raising),
    ("columns", Columns),
    ("array", lambda: np.zeros((3, 3))),
    ("cyclic", cyclic),
    ("lock", threading.Lock),
    ("generator", lambda: (n for n in range(3))),
    ("bytes", lambda: b"x" * 1_000_000),
    ("model", lambda: Model(value=Raising(), messages=[Raising()])),
    ("data", lambda: Data(Raising(), [Raising()])),
    ("message", lambda: AIMessage([{"type": "text", "text": "x"}], additional_kwargs={"a": Raising()})),
    ("odd message", lambda: OddMessage("x")),
    ("keys", lambda: {("a", 1): 2, 3: 4}),
    ("class", lambda: Raising),
    ("surrogate", lambda: "\ud800"),
]
PARAMETERS = pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in HOSTILE])


@PARAMETERS
def test_a_chain_takes_it_in_and_gives_it_out(
    captured: Capture, traced: dict[str, Any], make: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    value = make()

    assert RunnableLambda(lambda given: given).invoke(value, traced) is value

    assert [step.status for step in captured.steps] == ["ok"]
    assert captured.flush().dropped == 0
    assert caplog.records == []


@PARAMETERS
def test_it_may_lie_in_a_state_beside_messages(
    captured: Capture, traced: dict[str, Any], make: Callable[[], Any]
) -> None:
    state = {"value": make(), "list": [make()] * 30, "messages": [HumanMessage("a"), make(), HumanMessage("b")]}

    RunnableLambda(lambda given: given).invoke(state, traced)

    step = captured.steps[0]
    assert step.status == "ok"
    assert step.input["messages"][-1] == {"role": "user", "content": "b"}


@PARAMETERS
def test_a_tool_returns_it(captured: Capture, traced: dict[str, Any], make: Callable[[], Any]) -> None:
    value = make()

    @tool
    def fetch(name: str) -> Any:
        """Fetch."""
        return value

    assert fetch.invoke({"name": "x"}, traced) is value

    assert captured.step("tool").status == "ok"


@PARAMETERS
def test_it_may_be_metadata_or_a_tag(captured: Capture, make: Callable[[], Any]) -> None:
    handler, run_id = CallbackHandler(), uuid4()
    metadata = {"odd": make(), "session_id": make(), "thread_id": make()}

    handler.on_chain_start({}, {}, run_id=run_id, metadata=metadata, name="odd", tags=["x", make()])
    handler.on_chain_end({}, run_id=run_id)

    assert captured.outline() == "workflow odd"


class State(TypedDict):
    value: Any


@pytest.mark.parametrize("make", [Raising, Columns, cyclic, threading.Lock])
def test_a_graph_carries_it(captured: Capture, traced: dict[str, Any], make: Callable[[], Any]) -> None:
    graph = StateGraph(State)
    graph.add_node("keep", lambda state: {"value": state["value"]})
    graph.add_edge(START, "keep")

    graph.compile().invoke({"value": make()}, traced)

    assert {step.status for step in captured.steps} == {"ok"}


def test_a_generator_is_not_consumed(captured: Capture, traced: dict[str, Any]) -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)

    given = RunnableLambda(lambda value: value).invoke({"n": numbers()}, traced)

    assert list(given["n"]) == [0, 1, 2]


def test_a_streams_input_is_not_asked_whether_it_is_empty(captured: Capture, traced: dict[str, Any]) -> None:
    handler, run_id = CallbackHandler(), uuid4()
    value = {"input": Raising()}

    handler.on_chain_start({}, value, run_id=run_id, name="chain", defers_inputs=True)
    handler.on_chain_end(value, run_id=run_id, inputs=value)

    assert captured.outline() == "workflow chain"


@pytest.mark.parametrize("kind", ["nothing", "raising", "empty", "empty batch"])
def test_a_result_that_is_none_ends_the_call_all_the_same(captured: Capture, kind: str) -> None:
    responses = {
        "nothing": None,
        "raising": Raising(),
        "empty": LLMResult(generations=[]),
        "empty batch": LLMResult(generations=[[]]),
    }
    response: Any = responses[kind]
    handler, run_id = CallbackHandler(), uuid4()
    handler.on_chat_model_start({"name": "model"}, [[HumanMessage("x")]], run_id=run_id, metadata={})

    handler.on_llm_end(response, run_id=run_id)

    assert [step.status for step in captured.steps] == ["ok"]
