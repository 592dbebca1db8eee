"""Runs of agents: whole, streamed, handed over, nested, failed, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import treerings
from google.adk.agents import BaseAgent, LlmAgent, LoopAgent, ParallelAgent, SequentialAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.plugins.base_plugin import BasePlugin
from google.adk.runners import InMemoryRunner, Runner
from google.adk.tools.agent_tool import AgentTool
from google.genai import types
from treerings import StopWorkflow, runtime
from treerings.testing import Capture, ModelServer, ToolCall
from treerings_google_adk import TreeringsPlugin, integration
from treerings_google_adk.runs import RUNS

WHOLE = "workflow app\n  agent oaks\n    llm LiteLlm\n    tool rings\n    llm LiteLlm"


def rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


def text(said: str) -> types.Content:
    return types.Content(role="model", parts=[types.Part(text=said)])


class Fake(BaseLlm):
    """A model without a server."""

    model: str = "fake"

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        with treerings.step("chain", "sdk"):
            pass
        usage = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=10, candidates_token_count=5, thoughts_token_count=3, total_token_count=18
        )
        yield LlmResponse(content=text("112"), usage_metadata=usage)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_is_one_tree_with_each_call_counted_once(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any], stream: bool
) -> None:
    server.call_tool("rings", {"tree": "oak"}, id="c1").say("112 rings.")
    config = types.GenerateContentConfig(temperature=0.5)

    await run(LlmAgent(name="oaks", model=model(), tools=[rings], generate_content_config=config), stream=stream)

    assert captured.outline(hidden=True) == WHOLE
    root, agent, first, tool, last = captured.workflow.steps
    assert (root.input, root.output, root.user_id, agent.output) == ("How old?", "112 rings.", "ada", "112 rings.")
    assert (first.model, first.provider, first.attributes["request"]) == ("gpt-4o-mini", "openai", {"temperature": 0.5})
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
    assert (tool.attributes["tool_call_id"], tool.attributes["called_by"]) == ("c1", first.id)
    assert last.output == {"content": "112 rings."}
    assert (last.first_token_ms is not None) is stream
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)


async def test_an_answer_without_usage_is_estimated(captured: Capture, run: Callable[..., Any]) -> None:
    class Silent(BaseLlm):
        model: str = "silent"

        async def generate_content_async(
            self, llm_request: Any, stream: bool = False
        ) -> AsyncGenerator[LlmResponse, None]:
            yield LlmResponse(content=text("112 rings."))

    await run(LlmAgent(name="oaks", model=Silent()))

    assert captured.step("llm").estimated


async def test_text_and_tool_calls_of_one_streamed_answer_are_one_call(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"}, text="I count.").say("112")

    await run(LlmAgent(name="oaks", model=model(), tools=[rings]), stream=True)

    first = captured.workflow.steps[2]
    assert first.output["content"] == "I count."
    assert [call["name"] for call in first.output["tool_calls"]] == ["rings"]
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


async def test_a_transfer_is_a_handoff_and_ends_the_agent(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    server.call_tool("transfer_to_agent", {"agent_name": "elms"}).say("I am elms.")
    elms = LlmAgent(name="elms", model=model())

    await run(LlmAgent(name="oaks", model=model(), sub_agents=[elms]))

    assert captured.outline(show=("agent", "handoff_to")) == (
        "workflow app\n  agent oaks agent=oaks\n    llm LiteLlm agent=oaks\n"
        "    handoff transfer_to_agent agent=oaks handoff_to=elms\n"
        "  agent elms agent=elms\n    llm LiteLlm agent=elms"
    )
    assert captured.workflow.totals.failed_steps == 0


async def test_agents_that_run_others_have_them_below(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    def agent(name: str) -> LlmAgent:
        return LlmAgent(name=name, model=Fake())

    both = ParallelAgent(name="both", sub_agents=[agent("b"), agent("c")])
    again = LoopAgent(name="again", sub_agents=[agent("d")], max_iterations=2)
    outer = SequentialAgent(name="all", sub_agents=[agent("a"), both, again])

    await run(outer)

    names = {step.id: step.name for step in captured.workflow.steps}
    below = [(step.name, names.get(step.parent_id or "")) for step in captured.workflow.steps if step.kind == "agent"]
    assert sorted(below) == [
        ("a", "all"), ("again", "all"), ("all", "app"), ("b", "both"), ("both", "all"), ("c", "both"), ("d", "again"),
        ("d", "again"),
    ]  # fmt: skip
    calls = [step for step in captured.workflow.steps if step.kind == "llm"]
    assert sorted(step.agent or "" for step in calls) == ["a", "b", "c", "d", "d"]
    assert captured.workflow.totals.failed_steps == 0
    assert {step.status for step in captured.workflow.steps} == {"ok"}


async def test_an_agent_as_a_tool_is_below_the_tool(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    server.call_tool("inner", {"request": "q"}).say("done")

    await run(LlmAgent(name="oaks", model=model(), tools=[AgentTool(LlmAgent(name="inner", model=Fake()))]))

    assert captured.outline() == (
        "workflow app\n  agent oaks\n    llm LiteLlm\n    tool inner\n      agent inner\n        llm Fake\n"
        "          chain sdk\n    llm LiteLlm"
    )


async def test_tools_at_once_have_their_own_steps_inside(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    async def measure(tree: str) -> str:
        """Measure."""
        with treerings.step("chain", f"inner {tree}"):
            await asyncio.sleep(0)
            return tree

    server.call_tools([ToolCall("measure", {"tree": "oak"}, "c1"), ToolCall("measure", {"tree": "elm"}, "c2")])
    server.say("done")

    with treerings.step("task", "outer"):
        await run(LlmAgent(name="oaks", model=model(), tools=[measure]))

    tools = [step for step in captured.workflow.steps if step.kind == "tool"]
    inner = {step.name: step.parent_id for step in captured.workflow.steps if step.kind == "chain"}
    assert inner == {f"inner {step.input['tree']}": step.id for step in tools}
    assert captured.outline().startswith("task outer\n  workflow app\n    agent oaks\n")


@pytest.mark.parametrize("inside", [False, True])
async def test_the_consumer_keeps_its_own_context(captured: Capture, run: Callable[..., Any], inside: bool) -> None:
    def consume() -> None:
        with treerings.step("chain", "consumer"):
            pass

    agent: Any = LlmAgent(name="oaks", model=Fake())
    await run(SequentialAgent(name="all", sub_agents=[agent]) if inside else agent, stream=True, each=consume)

    assert {workflow.name for workflow in captured.workflows} == {"app", "consumer"}


async def test_a_run_that_is_closed_early_is_cancelled(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    server.say("one two three four five six")

    await run(LlmAgent(name="oaks", model=model()), stream=True, stop=2)

    assert captured.outline() == "workflow app cancelled\n  agent oaks cancelled\n    llm LiteLlm cancelled"


@pytest.mark.parametrize("sequential", [False, True])
async def test_a_cancelled_run_is_cancelled(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any], sequential: bool
) -> None:
    started = asyncio.Event()

    async def hang() -> str:
        """Hang."""
        started.set()
        await asyncio.Event().wait()
        return ""

    server.call_tool("hang")
    agent: Any = LlmAgent(name="oaks", model=model(), tools=[hang])
    task = asyncio.create_task(run(SequentialAgent(name="all", sub_agents=[agent]) if sequential else agent))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    captured.finish()

    shown = captured.outline().replace("  agent all cancelled\n", "").replace("    ", "  ")
    lines = [line.strip() for line in shown.splitlines()]
    assert lines == ["workflow app cancelled", "agent oaks cancelled", "llm LiteLlm", "tool hang cancelled"]


async def test_a_model_that_fails_is_an_error(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    server.fail(400, message="no wood")

    with pytest.raises(Exception, match="no wood"):
        await run(LlmAgent(name="oaks", model=model()))

    assert captured.outline() == "workflow app error\n  agent oaks error\n    llm LiteLlm error"
    assert captured.step("llm").error_type == "BadRequestError"


class Forgiving(BasePlugin):
    """Another plugin: it answers in place of what failed."""

    async def on_model_error_callback(self, **_told: Any) -> LlmResponse:
        return LlmResponse(content=text("sorry"))

    async def on_tool_error_callback(self, **_told: Any) -> dict[str, Any]:
        return {"result": "sorry"}


async def test_a_failure_that_another_plugin_handles_stays_on_its_step(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    def break_off() -> str:
        """Break."""
        raise ValueError("bad wood")

    server.call_tool("break_off").fail(400, message="no wood")

    events = await run(LlmAgent(name="oaks", model=model(), tools=[break_off]), plugins=[Forgiving("forgiving")])

    assert events[-1].content.parts[0].text == "sorry"
    assert captured.outline() == (
        "workflow app\n  agent oaks\n    llm LiteLlm\n    tool break_off error\n    llm LiteLlm error"
    )


async def test_a_callback_that_answers_for_the_model_costs_nothing(captured: Capture, run: Callable[..., Any]) -> None:
    def answer(callback_context: Any, llm_request: Any) -> LlmResponse:
        return LlmResponse(content=text("by heart"))

    await run(LlmAgent(name="oaks", model=Fake(), before_model_callback=answer))

    call = captured.step("llm")
    assert (call.status, call.attributes["answered_by"], call.usage.cache_hit) == ("ok", "callback", True)  # type: ignore[union-attr]
    assert captured.workflow.totals.cost_usd == 0


async def test_an_agent_that_a_callback_ends_is_ok(captured: Capture, run: Callable[..., Any]) -> None:
    def answer(callback_context: Any) -> types.Content:
        return text("no need")

    await run(LlmAgent(name="oaks", model=Fake(), before_agent_callback=answer))

    assert captured.outline() == "workflow app\n  agent oaks"


async def test_thoughts_are_part_of_the_output(captured: Capture, run: Callable[..., Any]) -> None:
    await run(LlmAgent(name="oaks", model=Fake()))

    usage: Any = captured.step("llm").usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (10, 8, 3)


async def test_an_own_agent_runs_its_agents_below_it(captured: Capture, run: Callable[..., Any]) -> None:
    inner = LlmAgent(name="inner", model=Fake())

    class Own(BaseAgent):
        async def _run_async_impl(self, ctx: Any) -> AsyncGenerator[Any, None]:
            async for event in inner.run_async(ctx):
                yield event

    await run(Own(name="own"))

    assert captured.outline() == "workflow app\n  agent own\n    agent inner\n      llm Fake\n        chain sdk"


class Guard:
    @treerings.hookimpl
    def step_starting(self, step: Any) -> None:
        if step.kind == "tool":
            raise StopWorkflow("no tool today")


async def test_a_guard_stops_the_run(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"})
    name = runtime.register(Guard())
    try:
        with pytest.raises(Exception, match="no tool today"):
            await run(LlmAgent(name="oaks", model=model(), tools=[rings]))
    finally:
        runtime.unregister(name)

    assert captured.outline() == (
        "workflow app cancelled\n  agent oaks cancelled\n    llm LiteLlm\n    tool rings cancelled"
    )


async def test_a_failure_of_ours_does_not_reach_the_program(
    captured: Capture, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug of ours")

    for method in ("start", "update", "end"):
        with monkeypatch.context() as patch:
            patch.setattr(captured.recorder, method, broken)
            events = await run(LlmAgent(name="oaks", model=Fake()))
        assert events[-1].content.parts[0].text == "112"
        RUNS.clear()


async def test_a_plugin_that_is_given_to_the_runner_records_once(captured: Capture, run: Callable[..., Any]) -> None:
    await run(LlmAgent(name="oaks", model=Fake()), plugins=[TreeringsPlugin()])
    integration.uninstrument()
    await run(LlmAgent(name="elms", model=Fake()), plugins=[TreeringsPlugin()])

    assert captured.outline() == (
        "workflow app\n  agent oaks\n    llm Fake\n      chain sdk\n\nworkflow app\n  agent elms\n    llm Fake\n      chain sdk"
    )


async def test_uninstrument_gives_the_constructor_back_and_silences_runners(
    captured: Capture, run: Callable[..., Any]
) -> None:
    integration.instrument()
    patched = Runner.__init__
    runner = InMemoryRunner(LlmAgent(name="oaks", model=Fake()), app_name="app")
    integration.uninstrument()

    assert patched is not Runner.__init__
    assert not hasattr(Runner.__init__, "__wrapped__")
    await runner.run_debug("How old?", quiet=True)
    assert [workflow.name for workflow in captured.workflows] == ["sdk"]


async def test_a_hundred_runs_leave_nothing_behind(captured: Capture) -> None:
    runner = InMemoryRunner(LlmAgent(name="oaks", model=Fake()), app_name="app")
    plugin = runner.plugin_manager.plugins[0]
    for number in range(100):
        await runner.run_debug("How old?", quiet=True, session_id=f"s{number}")
    captured.finish()

    assert len(RUNS) == 0
    assert len(plugin._tools) == 0  # type: ignore[attr-defined]
    assert captured.recorder.report().dropped == 0
    assert len(captured.recorder._forest) == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_the_openai_sdk_is_below_each_call_and_counted_once(
    server: ModelServer, captured: Capture, model: Callable[..., Any], run: Callable[..., Any], stream: bool
) -> None:
    treerings.instrument("openai")
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.")

    await run(LlmAgent(name="oaks", model=model(), tools=[rings]), stream=stream)

    calls = [step for step in captured.workflow.steps if step.kind == "llm"]
    assert [step.source for step in calls] == ["google-adk", "openai"] * 2
    assert [step.parent_id for step in calls[1::2]] == [step.id for step in calls[::2]]
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.llm_calls, totals.input_tokens) == (2, served.input_tokens)
