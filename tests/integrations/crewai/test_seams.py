"""Crews inside other sources' steps, and other sources' steps inside crews: one tree."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from crewai import Agent, Crew
from crewai.flow.flow import Flow, listen, start
from crewai.tools import tool
from treerings.context import current_step
from treerings.testing import Capture, ModelServer
from treerings_crewai.listener import ASSEMBLER


@tool
def own_step(tree: str) -> str:
    """Count with a step of our own."""
    with treerings.step("chain", "counting"):
        return f"{tree}: 112"


def test_an_own_step_in_a_tool_is_under_the_tool(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.call_tool("own_step", {"tree": "oak"}).say("112 rings.")

    crew("Count.", tools=[own_step]).kickoff()

    assert "\n      tool own_step\n        chain counting\n" in captured.outline()


def test_a_step_in_a_tool_whose_start_is_not_told_yet_is_under_the_tool(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = threading.Event()
    started = ASSEMBLER.started

    def late(recorder: Any, told: Any, said: Any) -> None:
        if told.type == "tool_usage_started":
            assert ran.wait(10)
        started(recorder, told, said)

    @tool
    def quick(tree: str) -> str:
        """Count quickly."""
        with treerings.step("chain", "counting"):
            pass
        ran.set()
        return "112"

    monkeypatch.setattr(ASSEMBLER, "started", late)
    server.call_tool("quick", {"tree": "oak"}).say("112 rings.")

    crew("Count.", tools=[quick]).kickoff()

    assert captured.outline() == (
        "workflow crew\n"
        "  task Count.\n"
        "    agent forester\n"
        "      llm gpt-4o-mini\n"
        "      tool quick\n"
        "        chain counting\n"
        "      llm gpt-4o-mini"
    )


def test_a_step_after_a_tool_whose_end_is_not_told_yet_is_not_under_the_tool(
    server: ModelServer, crew: Callable[..., Crew], ring_count: Any, captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = threading.Event()
    ended = ASSEMBLER.ended

    def late(recorder: Any, told: Any, end: Any) -> None:
        if told.type == "tool_usage_finished":
            assert ran.wait(10)
        ended(recorder, told, end)

    def after_step(_: Any) -> None:
        with treerings.step("chain", "noting"):
            pass
        ran.set()

    monkeypatch.setattr(ASSEMBLER, "ended", late)
    server.call_tool("count_rings", {"tree": "oak"}).say("112 rings.")

    crew("Count.", tools=[ring_count], step_callback=after_step).kickoff()

    noting = captured.steps[[step.name for step in captured.steps].index("noting")]
    assert noting.parent_id == captured.step("agent").id


def test_a_step_inside_a_model_call_is_under_it(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> str:
        return "112 rings."

    def on_chunk(source: Any, event: Any) -> None:
        seen.append(current_step())

    from crewai.events import LLMStreamChunkEvent, crewai_event_bus

    server.reply(answer, times=None)
    made = crew("Count.")
    made.agents[0].llm.stream = True
    with_handler = crewai_event_bus.on(LLMStreamChunkEvent)(on_chunk)
    try:
        made.kickoff()
    finally:
        crewai_event_bus.off(LLMStreamChunkEvent, with_handler)

    assert {step.id for step in seen} == {captured.step("llm").id}


def test_the_call_of_a_model_sdk_is_inside_the_call_of_crewai_and_counts_once(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.")
    treerings.instrument("openai")

    crew("Count.").kickoff()

    call, request = (step for step in captured.workflow.steps if step.kind == "llm")
    assert request.parent_id == call.id
    assert (call.source, request.source) == ("crewai", "openai")
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens
    assert captured.workflow.totals.llm_calls == 1


def test_the_request_of_a_direct_call_is_inside_it_also_when_its_start_is_told_late(
    server: ModelServer, model: Callable[..., Any], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    started = ASSEMBLER.started

    def late(recorder: Any, told: Any, said: Any) -> None:
        assert asked.wait(10)
        started(recorder, told, said)

    def answer(request: Any) -> str:
        asked.set()
        return "An oak."

    server.reply(answer)
    treerings.instrument("openai")
    monkeypatch.setattr(ASSEMBLER, "started", late)

    model().call("Which tree?")

    call, request = captured.workflow.steps
    assert (call.source, request.source) == ("crewai", "openai")
    assert request.parent_id == call.id


def test_a_crew_in_an_own_step_is_under_it(server: ModelServer, crew: Callable[..., Crew], captured: Capture) -> None:
    server.say("112 rings.")

    with treerings.step("workflow", "survey"):
        crew("Count.").kickoff()

    assert captured.outline() == (
        "workflow survey\n  workflow crew\n    task Count.\n      agent forester\n        llm gpt-4o-mini"
    )


def test_labels_around_a_crew_are_on_its_steps(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    server.say("112 rings.")

    with treerings.labels(session_id="s-41", team="growth"):
        crew("Count.").kickoff()

    assert {(step.session_id, step.labels["team"]) for step in captured.steps} == {("s-41", "growth")}


def test_a_crew_in_a_tool_of_a_crew_is_under_the_tool(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    @tool
    def ask_others(tree: str) -> str:
        """Ask another crew."""
        with treerings.step("chain", "asking"):
            return str(crew("Inner.").kickoff())

    server.call_tool("ask_others", {"tree": "oak"}).say("Inner answer.").say("Outer answer.")

    crew("Outer.", tools=[ask_others]).kickoff()

    assert captured.outline() == (
        "workflow crew\n"
        "  task Outer.\n"
        "    agent forester\n"
        "      llm gpt-4o-mini\n"
        "      tool ask_others\n"
        "        chain asking\n"
        "          workflow crew\n"
        "            task Inner.\n"
        "              agent forester\n"
        "                llm gpt-4o-mini\n"
        "      llm gpt-4o-mini"
    )


def test_after_an_interrupted_crew_own_steps_are_outside_of_it(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    @tool
    def interrupting(tree: str) -> str:
        """Press Ctrl-C."""
        raise KeyboardInterrupt

    server.call_tool("interrupting", {"tree": "oak"})
    with pytest.raises(KeyboardInterrupt):
        crew("Count.", tools=[interrupting]).kickoff()

    assert current_step() is None


def test_a_langchain_chain_in_a_tool_is_under_the_tool(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.runnables import RunnableLambda

    @tool
    def chained(tree: str) -> str:
        """Count with a chain."""
        return str(RunnableLambda(lambda tree: f"{tree}: 112").with_config(run_name="counter").invoke(tree))

    treerings.instrument("langchain")
    server.call_tool("chained", {"tree": "oak"}).say("112 rings.")

    crew("Count.", tools=[chained]).kickoff()

    assert "\n      tool chained\n        chain counter\n" in captured.outline()


def test_a_crew_in_a_langchain_tool_is_under_the_tool_and_chains_in_its_tools_too(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool as langchain_tool

    counter = RunnableLambda(lambda tree: f"{tree}: 112").with_config(run_name="counter")

    @tool
    def chained(tree: str) -> str:
        """Count with a chain."""
        return str(counter.invoke(tree))

    @langchain_tool
    def ask_crew(tree: str) -> str:
        """Ask a crew."""
        return str(crew("Count.", tools=[chained]).kickoff())

    treerings.instrument("langchain")
    server.call_tool("chained", {"tree": "oak"}).say("112 rings.")

    RunnableLambda(lambda tree: ask_crew.invoke({"tree": tree})).with_config(run_name="survey").invoke("oak")

    assert captured.outline() == (
        "workflow survey\n"
        "  tool ask_crew\n"
        "    workflow crew\n"
        "      task Count.\n"
        "        agent forester\n"
        "          llm gpt-4o-mini\n"
        "          tool chained\n"
        "            chain counter\n"
        "          llm gpt-4o-mini"
    )


def test_steps_in_a_flow_and_its_crews_are_one_tree(
    server: ModelServer, crew: Callable[..., Crew], agent: Callable[..., Agent], captured: Capture
) -> None:
    server.say("112 rings.").say("An oak.")

    class Survey(Flow):
        @start()
        def count(self) -> str:
            with treerings.step("chain", "preparing"):
                pass
            return str(crew("Count.").kickoff())

        @listen(count)
        def describe(self, counted: str) -> str:
            return str(crew("Name.").kickoff())

    assert Survey().kickoff() == "An oak."

    below = "workflow crew\n      task {}\n        agent forester\n          llm gpt-4o-mini"
    assert captured.outline() == (
        "workflow Survey\n"
        "  node count\n"
        "    chain preparing\n"
        f"    {below.format('Count.')}\n"
        "  node describe\n"
        f"    {below.format('Name.')}"
    )


def test_what_an_interrupt_left_before_we_listened_is_nobodys_parent(
    server: ModelServer, crew: Callable[..., Crew], captured: Capture
) -> None:
    @tool
    def interrupting(tree: str) -> str:
        """Press Ctrl-C."""
        raise KeyboardInterrupt

    server.call_tool("interrupting", {"tree": "oak"}).say("112 rings.")
    treerings.disable()
    with pytest.raises(KeyboardInterrupt):
        crew("First.", tools=[interrupting]).kickoff()
    treerings.enable()

    with treerings.step("chain", "between"):
        pass
    crew("Second.").kickoff()

    assert captured.outline() == (
        "chain between\n\nworkflow crew\n  task Second.\n    agent forester\n      llm gpt-4o-mini"
    )
