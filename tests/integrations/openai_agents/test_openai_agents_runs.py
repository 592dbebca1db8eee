"""Runs of agents as trees: tools, handoffs, guardrails, agents as tools, streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from agents import (
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelSettings,
    Runner,
    custom_span,
    function_tool,
    input_guardrail,
    trace,
)
from treerings.testing import Capture, ModelServer

Make = Callable[..., Any]
Run = Callable[..., Any]


@function_tool
def rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


@pytest.mark.parametrize(("api", "call"), [("chat", "generation"), ("responses", "response")])
def test_an_agent_with_a_tool(
    captured: Capture, server: ModelServer, agent: Make, run: Run, api: str, call: str
) -> None:
    server.call_tool("rings", {"tree": "oak"}, id="call_7", usage={"input_tokens": 50, "output_tokens": 9})
    server.say("112 years", usage={"input_tokens": 70, "output_tokens": 4})

    run(Runner.run(agent(api=api, tools=[rings]), "How old is the oak?"))

    assert captured.outline(show=("model", "input_tokens", "output_tokens", "tool_call_id")) == (
        "workflow Agent workflow\n"
        "  agent forester\n"
        f"    llm {call} model=gpt-4o-mini input_tokens=50 output_tokens=9\n"
        "    tool rings tool_call_id=call_7\n"
        f"    llm {call} model=gpt-4o-mini input_tokens=70 output_tokens=4"
    )
    first, second = (step for step in captured.steps if step.kind == "llm")
    tool = captured.step("tool")
    assert (tool.input, tool.output) == ('{"tree": "oak"}', "oak: 112")
    assert tool.attributes["called_by"] == first.id
    assert "112 years" in str(second.output)
    assert captured.workflow.totals.input_tokens == 120
    assert "How old" in str(captured.step("agent").input)
    assert "112 years" in str(captured.step("workflow").output)


def test_turns_and_tasks_are_plumbing(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.say("112")

    run(Runner.run(agent(), "How old?"))

    assert captured.outline(hidden=True) == (
        "workflow Agent workflow\n  task Agent workflow\n    agent forester\n      chain turn 1\n        llm generation"
    )


def test_a_handoff(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.call_tool("transfer_to_writer")
    server.say("done")

    run(Runner.run(agent(handoffs=[agent("writer")]), "Write!"))

    assert captured.outline(show=("handoff_to", "agent")) == (
        "workflow Agent workflow\n"
        "  agent forester agent=forester\n"
        "    llm generation agent=forester\n"
        "    handoff writer handoff_to=writer agent=forester\n"
        "  agent writer agent=writer\n"
        "    llm generation agent=writer"
    )


def test_an_agent_as_a_tool_is_below_the_tool(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.call_tool("ask", {"input": "rings?"})
    server.say("112")
    server.say("It has 112.")
    counter = agent("counter").as_tool("ask", "Counts rings.")

    run(Runner.run(agent(tools=[counter]), "How old?"))

    assert captured.outline() == (
        "workflow Agent workflow\n"
        "  agent forester\n"
        "    llm generation\n"
        "    tool ask\n"
        "      agent counter\n"
        "        llm generation\n"
        "    llm generation"
    )
    assert captured.step("agent", "forester").output["content"] == "It has 112."


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_streamed_run(captured: Capture, server: ModelServer, agent: Make, run: Run, api: str) -> None:
    server.call_tool("rings", {"tree": "oak"}, usage={"input_tokens": 50, "output_tokens": 9})
    server.say("112", usage={"input_tokens": 70, "output_tokens": 4})

    streaming = agent(api=api, tools=[rings], model_settings=ModelSettings(include_usage=True))

    async def read() -> None:
        async for _ in Runner.run_streamed(streaming, "How old?").stream_events():
            pass

    run(read())

    call = "generation" if api == "chat" else "response"
    shown = captured.outline(
        show=lambda step: str(step.usage.input_tokens) if step.usage and step.kind == "llm" else ""
    )
    assert [line.strip() for line in shown.splitlines()] == [
        "workflow Agent workflow",
        "agent forester",
        f"llm {call} 50",
        "tool rings",
        f"llm {call} 70",
    ]


def test_a_streamed_run_that_is_cancelled(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.say("an oak is a tree that stands for long " * 20, chunk_delay=0.01)

    async def first() -> None:
        result = Runner.run_streamed(agent(), "How old?")
        async for event in result.stream_events():
            if event.type == "raw_response_event":
                result.cancel()

    run(first())

    captured.finish()
    assert "llm generation cancelled" in captured.outline()


def test_a_run_whose_time_is_over_is_cancelled(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.say("112", delay=5)

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await Runner.run(agent(), "How old?")

    run(impatient())

    assert captured.outline() == (
        "workflow Agent workflow cancelled\n  agent forester cancelled\n    llm generation cancelled"
    )


def test_an_error_of_the_provider(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.fail(500)

    with pytest.raises(Exception, match="told to fail"):
        run(Runner.run(agent(), "How old?"))

    assert captured.outline(show=("error_type",)) == (
        "workflow Agent workflow error error_type=InternalServerError\n"
        "  agent forester error error_type=InternalServerError\n"
        "    llm generation error error_type=InternalServerError"
    )


def test_a_tools_error_that_the_model_is_given_stays_on_the_tool(
    captured: Capture, server: ModelServer, agent: Make, run: Run
) -> None:
    @function_tool
    def break_saw() -> str:
        """Breaks."""
        raise ValueError("broken")

    server.call_tool("break_saw")
    server.say("It broke.")

    run(Runner.run(agent(tools=[break_saw]), "Saw!"))

    assert captured.outline() == (
        "workflow Agent workflow\n  agent forester\n    llm generation\n    tool break_saw error\n    llm generation"
    )
    assert "broken" in str(captured.step("tool").error)


def test_too_many_turns(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.call_tool("rings", {"tree": "oak"})

    with pytest.raises(MaxTurnsExceeded):
        run(Runner.run(agent(tools=[rings]), "How old?", max_turns=1))

    assert captured.step("workflow").error_type == "MaxTurnsExceeded"
    assert captured.step("tool").status == "ok"


@pytest.mark.parametrize("trips", [False, True])
def test_a_guardrail(captured: Capture, server: ModelServer, agent: Make, run: Run, trips: bool) -> None:
    @input_guardrail(run_in_parallel=False)
    def politeness(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=trips)

    server.say("112")
    guarded = agent(input_guardrails=[politeness])
    if trips:
        with pytest.raises(InputGuardrailTripwireTriggered):
            run(Runner.run(guarded, "How old?"))
    else:
        run(Runner.run(guarded, "How old?"))

    step = captured.step("guardrail", "politeness")
    assert (step.status, step.attributes.get("triggered")) == ("ok", True if trips else None)


def test_several_runs_in_one_trace_are_one_tree(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.say("one")
    server.say("two")

    async def both() -> None:
        with trace("survey", group_id="chat-4"):
            await Runner.run(agent("first"), "?")
            with custom_span("measure"):
                await Runner.run(agent("second"), "?")

    run(both())

    assert captured.outline() == (
        "workflow survey\n  agent first\n    llm generation\n  chain measure\n    agent second\n      llm generation"
    )
    assert {step.session_id for step in captured.steps} == {"chat-4"}


def test_runs_at_once_stay_apart(captured: Capture, server: ModelServer, agent: Make, run: Run) -> None:
    server.say("x", times=None)

    async def many() -> None:
        await asyncio.gather(*(Runner.run(agent(f"a{number}"), "?") for number in range(5)))

    run(many())

    assert len(captured.workflows) == 5
    assert all(len(workflow.steps) == 5 for workflow in captured.workflows)


def test_own_steps_are_inside_of_tools_and_runs_inside_of_own_steps(
    captured: Capture, server: ModelServer, agent: Make, run: Run
) -> None:
    @function_tool
    def look_up(tree: str) -> str:
        """Look a tree up."""
        with treerings.step("retriever", "shelf"):
            return "112"

    server.call_tool("look_up", {"tree": "oak"})
    server.say("112")

    with treerings.step("task", "ask"), treerings.labels(team="growth"):
        run(Runner.run(agent(tools=[look_up]), "How old?"))

    assert captured.outline() == (
        "task ask\n"
        "  chain Agent workflow\n"
        "    agent forester\n"
        "      llm generation\n"
        "      tool look_up\n"
        "        retriever shelf\n"
        "      llm generation"
    )


def test_the_sdks_own_step_is_below_the_model_call(
    captured: Capture, server: ModelServer, agent: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai._base_client as sdk

    monkeypatch.setattr(sdk.AsyncAPIClient, "request", treerings.step("llm", "sdk")(sdk.AsyncAPIClient.request))
    server.say("112")

    run(Runner.run(agent(), "How old?"))

    assert captured.outline().endswith("    llm generation\n      llm sdk")


def test_a_run_in_the_handler_of_another_error_is_ok(
    captured: Capture, server: ModelServer, agent: Make, run: Run
) -> None:
    server.say("112")

    try:
        raise KeyError("first")
    except KeyError:
        run(Runner.run(agent(), "How old?"))

    assert "error" not in captured.outline()
