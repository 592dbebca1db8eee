"""A graph passes its whole state through every node; what is stored of it grows with what is new in it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph, add_messages
from treerings.plain import dump_json
from treerings.testing import Capture, ModelServer

Make = Callable[..., Any]


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: " + "ring " * 100


class Talk(TypedDict):
    chat: Annotated[list[AnyMessage], add_messages]
    notes: Annotated[list[str], operator.add]


@dataclass
class Spoken:
    chat: Annotated[list[AnyMessage], add_messages] = field(default_factory=list)


def size(captured: Capture) -> int:
    return sum(len(dump_json(step.input)) + len(dump_json(step.output)) for step in captured.steps)


def agent_with_turns(server: ModelServer, model: Make, config: dict[str, Any], turns: int) -> None:
    for turn in range(turns):
        server.call_tool("measure", {"tree": f"oak {turn}"})
    server.say("done")
    agent = create_agent(model(), [measure])
    agent.invoke({"messages": [("user", "How old are they?")]}, {**config, "recursion_limit": 500})


def test_an_agents_payloads_grow_with_its_turns(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    agent_with_turns(server, model, traced, 120)

    late = [step for step in captured.steps if step.kind == "llm"][60:]
    assert max(len(dump_json(step.input)) for step in late) < 3_000
    assert size(captured) < 120 * 9_000


def test_a_prompt_of_usual_length_is_whole(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    agent_with_turns(server, model, traced, 5)

    last = [step for step in captured.steps if step.kind == "llm"][-1]
    assert [message["role"] for message in last.input] == ["user", *("assistant", "tool") * 5]


def loop(schema: type, turns: int, step: Callable[[int], Any]) -> Any:
    count = iter(range(turns))
    graph = StateGraph(schema)
    graph.add_node("turn", lambda state: step(next(count)))
    graph.add_edge(START, "turn")
    left = iter(range(turns - 1))
    graph.add_conditional_edges("turn", lambda state: "turn" if next(left, None) is not None else END, ["turn", END])
    return graph.compile()


def test_messages_under_another_key_and_growing_lists_are_shown_once(captured: Capture, traced: dict[str, Any]) -> None:
    graph = loop(Talk, 60, lambda n: {"chat": [AIMessage(f"{n} " + "x" * 200)], "notes": [f"{n} " + "y" * 200]})

    graph.invoke({"chat": [HumanMessage("go")], "notes": []}, {**traced, "recursion_limit": 500})

    assert size(captured) < 60 * 12_000


def test_messages_of_a_state_that_is_a_dataclass_are_shown_once(captured: Capture, traced: dict[str, Any]) -> None:
    graph = loop(Spoken, 40, lambda n: {"chat": [AIMessage(f"{n} " + "x" * 500)]})

    graph.invoke(Spoken(), {**traced, "recursion_limit": 500})

    assert size(captured) < 40 * 4_000


def test_the_last_message_is_always_there(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    agent_with_turns(server, model, traced, 3)

    root = captured.steps[0]
    assert root.output["messages"][-1]["content"] == "done"
    for step in captured.steps:
        if step.kind == "llm":
            assert step.input[-1]["role"] in ("user", "tool")


def test_what_is_left_out_is_counted(
    captured: Capture, model: Make, server: ModelServer, traced: dict[str, Any]
) -> None:
    server.say("one").say("two")
    long = ("user", "ring " * 4_000)

    def both(question: str) -> None:
        model().invoke([("system", "Count."), long, ("user", question)])
        model().invoke([("system", "Count."), long, ("user", question), ("assistant", "one"), ("user", "Again.")])

    RunnableLambda(both).invoke("How old?", traced)

    second = [step for step in captured.steps if step.kind == "llm"][1]
    assert second.input[0] == "… 4 earlier messages"
    assert [item["role"] for item in second.input[1:]] == ["user"]


def test_an_edited_message_is_shown_again(captured: Capture, traced: dict[str, Any]) -> None:
    before, after, last = HumanMessage("a", id="1"), HumanMessage("b", id="1"), HumanMessage("z", id="2")
    steps = RunnableLambda(lambda _: {"messages": [after, last]}) | RunnableLambda(lambda state: state)

    steps.invoke({"messages": [before, last]}, traced)

    assert captured.steps[-1].output["messages"][-1]["content"] == "z"
    assert {"role": "user", "content": "b"} in captured.steps[1].output["messages"]


def test_messages_with_one_id_are_not_taken_for_each_other(captured: Capture, traced: dict[str, Any]) -> None:
    state = {"messages": [AIMessage("a", id="same"), AIMessage("b", id="same"), AIMessage("c", id="same")]}

    RunnableLambda(lambda _: state).invoke("x", traced)

    assert [item["content"] for item in captured.steps[0].output["messages"]] == ["a", "b", "c"]


def test_another_agents_instructions_are_shown(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("one").say("two")

    def both(question: str) -> None:
        for prompt in ("You count.", "You write."):
            model().invoke([("system", prompt), ("user", question), ("user", "Now.")])

    RunnableLambda(both).invoke("How old?", traced)

    second = [step for step in captured.steps if step.kind == "llm"][1]
    assert second.input[0] == {"role": "system", "content": "You write."}


def test_a_call_whose_messages_were_left_out_is_estimated_from_all_of_them(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    for text in ("one", "two"):
        server.say(text)
    history = [("user", "ring " * 5_000), ("user", "Now.")]

    RunnableLambda(lambda _: [list(model(stream_usage=False).stream(history)) for _ in "ab"]).invoke("x", traced)

    first, second = [step for step in captured.steps if step.kind == "llm"]
    assert second.input[0] == "… 1 earlier messages"
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens == first.usage.input_tokens


def test_a_long_prompt_keeps_its_end(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("x")

    model().invoke([HumanMessage(f"{n} " + "z" * 1_000) for n in range(1_000)], traced)

    shown = captured.step("llm").input
    assert shown[0].startswith("… ")
    assert shown[-1]["content"].startswith("999 ")
