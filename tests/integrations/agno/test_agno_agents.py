"""Runs of agents: plain, asynchronous, streamed, failed, cancelled, paused."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from agno.agent import Agent
from agno.exceptions import StopAgentRun
from agno.models.openai import OpenAIChat
from agno.tools import tool
from treerings import StopWorkflow, runtime
from treerings.testing import Capture, Drop, ModelServer
from treerings.testing.model_script import Answer
from treerings_agno import integration
from treerings_agno.models import _asked
from treerings_agno.runs import _open

WHOLE = "agent forester\n  llm OpenAIChat\n  tool rings\n  llm OpenAIChat"


def run(agent: Agent) -> Any:
    return agent.run("How old?").content


def arun(agent: Agent) -> Any:
    async def main() -> Any:
        return (await agent.arun("How old?")).content

    return asyncio.run(main())


def stream(agent: Agent) -> Any:
    return "".join(event.content or "" for event in agent.run("How old?", stream=True))


def astream(agent: Agent) -> Any:
    async def main() -> Any:
        return "".join([event.content or "" async for event in agent.arun("How old?", stream=True)])

    return asyncio.run(main())


def print_response(agent: Agent) -> Any:
    agent.print_response("How old?", stream=True)
    return "112 rings."


@pytest.mark.parametrize("way", [run, arun, stream, astream, print_response])
def test_every_way_to_run_an_agent_is_one_tree(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"}, id="c1").say("112 rings.")

    assert way(agent()) == "112 rings."

    assert captured.outline(hidden=True) == WHOLE
    root, first, called, last = captured.workflow.steps
    assert (root.input, root.output) == ("How old?", "112 rings.")
    assert (first.model, first.provider, last.output) == ("gpt-4o-mini", "openai", {"content": "112 rings."})
    assert (called.input, called.output) == ({"tree": "oak"}, "oak: 112")
    assert (called.attributes["tool_call_id"], called.attributes["called_by"]) == ("c1", first.id)
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)
    assert (totals.llm_calls, totals.failed_steps) == (2, 0)
    assert first.ended_at is not None
    assert first.started_at < first.ended_at <= called.started_at


def test_a_model_call_lasts_as_long_as_its_request(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.say("112 rings.", delay=0.05)

    agent().run("How old?")

    assert (captured.step("llm").duration_ms or 0) >= 50


def test_a_stream_leaves_the_consumer_its_own_context(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.")

    with treerings.step("workflow", "own"):
        for _ in agent().run("How old?", stream=True):
            with treerings.step("chain", "consumer"):
                pass

    lines = captured.outline().splitlines()
    assert lines[:2] == ["workflow own", "  agent forester"]
    assert set(lines[2:]) == {"    llm OpenAIChat", "    tool rings", "  chain consumer"}


def test_own_steps_in_a_tool_hang_under_it_and_an_agent_hangs_under_an_own_step(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    def measure(tree: str) -> str:
        """Measure."""
        with treerings.step("chain", "inner"):
            return tree

    server.call_tool("measure", {"tree": "oak"}).say("done")

    with treerings.step("task", "outer"):
        agent(tools=[measure]).run("How old?")

    assert captured.outline() == (
        "task outer\n  agent forester\n    llm OpenAIChat\n    tool measure\n      chain inner\n    llm OpenAIChat"
    )


@pytest.mark.parametrize("way", [run, arun])
def test_an_agent_in_a_tool_is_below_the_tool(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    inner = agent(name="inner", tools=[])

    def ask(question: str) -> str:
        """Ask another."""
        return str(inner.run(question).content)

    server.call_tool("ask", {"question": "how?"}).say("so").say("done")

    way(agent(tools=[ask]))

    assert captured.outline() == (
        "agent forester\n  llm OpenAIChat\n  tool ask\n    agent inner\n      llm OpenAIChat\n  llm OpenAIChat"
    )


def test_a_stream_closed_early_is_cancelled(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.say("one two three four five six seven eight nine ten")

    events: Any = agent().run("How old?", stream=True)
    while not next(events).content:
        pass
    events.close()

    assert captured.outline() == "agent forester cancelled\n  llm OpenAIChat cancelled"
    assert captured.step("llm").output["content"]


def test_a_stream_that_nobody_reads_records_nothing(captured: Capture, agent: Callable[..., Agent]) -> None:
    events: Any = agent().run("How old?", stream=True)

    assert inspect.isgenerator(events)
    assert captured.workflows == []
    events.close()


async def test_a_cancelled_task_is_cancelled(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    started = asyncio.Event()

    async def hang() -> str:
        """Hang."""
        started.set()
        await asyncio.Event().wait()
        return ""

    server.call_tool("hang")
    task = asyncio.create_task(agent(tools=[hang]).arun("How old?"))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])

    assert captured.outline() == "agent forester cancelled\n  llm OpenAIChat\n  tool hang cancelled"


def test_a_failed_model_is_an_error_of_the_call_and_of_the_run_that_hides_it(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.fail(400, message="no wood")

    result = agent().run("How old?")

    assert result.status.value == "ERROR"
    assert captured.outline() == "agent forester error\n  llm OpenAIChat error"
    assert captured.step("llm").error_type == "ModelProviderError"
    assert "no wood" in (captured.workflow.error or "")


def test_a_failed_stream_is_an_error_and_keeps_what_was_said(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.reply(Drop(after_chunks=3, answer=Answer("one two three four five")))

    list(agent().run("How old?", stream=True))

    assert captured.outline() == "agent forester error\n  llm OpenAIChat error"
    assert captured.step("llm").output["content"].startswith("one")


def test_retries_are_attempts_of_their_own_and_the_run_is_ok(
    server: ModelServer, captured: Capture, model: Callable[..., OpenAIChat]
) -> None:
    server.fail(500, message="busy").say("done")

    Agent(name="forester", model=model(retries=1, delay_between_retries=0)).run("How old?")

    assert captured.outline(show=("attempt",)) == ("agent forester\n  llm OpenAIChat error\n  llm OpenAIChat attempt=2")


def test_a_tool_that_fails_is_an_error_and_its_run_is_ok(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    def break_off() -> str:
        """Break."""
        raise ValueError("bad wood")

    server.call_tool("break_off").say("a pity")

    agent(tools=[break_off]).run("How old?")

    assert captured.outline() == "agent forester\n  llm OpenAIChat\n  tool break_off error\n  llm OpenAIChat"
    assert captured.step("tool").error == "bad wood"


def test_a_tool_that_stops_its_agent_is_ok(server: ModelServer, captured: Capture, agent: Callable[..., Agent]) -> None:
    def finish() -> str:
        """Finish."""
        raise StopAgentRun("enough")

    server.call_tool("finish")

    agent(tools=[finish]).run("How old?")

    assert captured.outline() == "agent forester\n  llm OpenAIChat\n  tool finish"
    assert captured.step("tool").attributes["control"] == "StopAgentRun"


def test_a_paused_run_is_interrupted_and_the_run_that_continues_names_it(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    @tool(requires_confirmation=True)
    def fell(tree: str) -> str:
        """Fell a tree."""
        return f"{tree} is down"

    server.call_tool("fell", {"tree": "oak"}).say("It is down.")
    forester = agent(tools=[fell])

    paused = forester.run("Fell it")
    for requirement in paused.active_requirements:
        requirement.confirm()  # type: ignore[no-untyped-call]
    forester.continue_run(run_response=paused, requirements=paused.requirements)

    assert captured.outline() == (
        "agent forester interrupted\n  llm OpenAIChat\n\nagent forester\n  tool fell\n  llm OpenAIChat"
    )
    first, second = captured.workflows
    assert second.steps[0].attributes["resumes"] == first.id


def test_a_tool_that_is_a_generator_lasts_until_it_is_read(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    def grow() -> Any:
        """Grow."""
        yield "one "
        with treerings.step("chain", "inner"):
            yield "two"

    server.call_tool("grow").say("done")

    agent(tools=[grow]).run("Grow!")

    assert captured.outline() == ("agent forester\n  llm OpenAIChat\n  tool grow\n    chain inner\n  llm OpenAIChat")
    assert captured.step("tool").output == "one two"


def test_session_and_user_are_those_of_the_run(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.say("done")

    agent().run("How old?", session_id="s-41", user_id="ada")

    assert (captured.step("llm").session_id, captured.step("llm").user_id) == ("s-41", "ada")


def test_usage_that_nobody_reported_is_estimated(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.reply(Answer("done", report_usage=False))

    agent().run("How old?")

    assert captured.step("llm").estimated


class Guard:
    @treerings.hookimpl
    def step_starting(self, step: Any) -> None:
        if step.kind == "tool":
            raise StopWorkflow("no tool today")


@pytest.mark.parametrize("way", [run, arun, stream, astream])
def test_a_guard_stops_the_run(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"})
    name = runtime.register(Guard())
    try:
        with pytest.raises(StopWorkflow, match="no tool today"):
            way(agent())
    finally:
        runtime.unregister(name)

    assert captured.outline() == "agent forester cancelled\n  llm OpenAIChat\n  tool rings cancelled"


def test_a_failure_of_ours_does_not_reach_the_program(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(captured.recorder, "start", broken)
    server.say("112")

    assert agent().run("How old?").content == "112"


def test_uninstrument_gives_every_method_back_and_instrument_twice_is_once(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    integration.instrument()
    server.say("a").say("b")
    agent().run("How old?")
    integration.uninstrument()
    agent().run("How old?")

    assert captured.outline() == "agent forester\n  llm OpenAIChat"
    assert Agent.run.__module__ == "agno.agent.agent"
    assert not hasattr(Agent.run, "__wrapped__")
    assert not hasattr(OpenAIChat.invoke, "__wrapped__")
    assert inspect.iscoroutinefunction(OpenAIChat.ainvoke)


def test_a_model_class_that_is_defined_later_is_recorded_once_with_its_base(
    server: ModelServer, captured: Capture
) -> None:
    class Careful(OpenAIChat):
        def invoke(self, *args: Any, **kwargs: Any) -> Any:
            return super().invoke(*args, **kwargs)

    server.say("done")

    model = Careful(id="gpt-4o-mini", base_url=server.base_url, api_key="unused")
    Agent(name="forester", model=model).run("How old?")

    assert captured.outline() == "agent forester\n  llm Careful"


def test_a_thousand_runs_leave_nothing_behind(
    captured: Capture, agent: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agno.metrics import MessageMetrics
    from agno.models.base import Model
    from agno.models.response import ModelResponse

    class Fake(Model):
        def invoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
            return ModelResponse(content="112", response_usage=MessageMetrics(input_tokens=3, output_tokens=1))

        ainvoke = invoke_stream = ainvoke_stream = _parse_provider_response = _parse_provider_response_delta = invoke  # type: ignore[assignment]

    forester = agent(model=Fake(id="fake"), tools=[])
    for _ in range(1_000):
        forester.run("How old?")
    captured.finish()

    assert captured.recorder.report().dropped == 0
    assert (len(_open), len(_asked), len(captured.recorder._forest)) == (0, len(_asked), 0)
    assert len(_asked) <= 10_000


def test_a_step_of_the_models_sdk_is_below_the_call_and_is_counted_once(server: ModelServer, captured: Capture) -> None:
    class Watched(OpenAIChat):
        def invoke(self, *args: Any, **kwargs: Any) -> Any:
            with treerings.step("llm", "sdk", model="gpt-4o-mini", provider="openai") as call:
                call.set(usage=treerings.Usage(input_tokens=7, output_tokens=2))
                return super().invoke(*args, **kwargs)

    server.say("done")

    Agent(name="forester", model=Watched(id="gpt-4o-mini", base_url=server.base_url, api_key="unused")).run("How old?")

    assert captured.outline().startswith("agent forester\n  llm Watched\n    llm sdk")
    assert (captured.workflow.totals.llm_calls, captured.workflow.totals.input_tokens) == (1, 7)


@pytest.mark.parametrize("way", [run, arun, stream, astream])
def test_the_openai_sdk_is_below_each_call_and_counted_once(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    treerings.instrument("openai")
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.")

    way(agent())

    calls = [step for step in captured.workflow.steps if step.kind == "llm"]
    assert [step.source for step in calls] == ["agno", "openai"] * 2
    assert [step.parent_id for step in calls[1::2]] == [step.id for step in calls[::2]]
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.llm_calls, totals.input_tokens) == (2, served.input_tokens)


@pytest.mark.parametrize("closed", [True, False])
def test_a_coroutine_that_is_never_awaited_warns_as_without_us(
    agent: Callable[..., Agent], recwarn: pytest.WarningsRecorder, captured: Capture, closed: bool
) -> None:
    def dropped() -> tuple[str, list[str]]:
        coroutine: Any = agent().arun("How old?")
        name = coroutine.__qualname__
        if closed:
            coroutine.close()
        del coroutine
        gc.collect()
        warned = [str(warning.message) for warning in recwarn if "never awaited" in str(warning.message)]
        recwarn.clear()
        return name, warned

    warnings.simplefilter("always")  # recwarn puts the filters back
    watched = dropped()
    integration.uninstrument()
    assert watched == dropped()
    assert not captured.workflows
