"""Runs of agents: plain, streamed, nested, failed, cancelled, refused."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
import treerings
import treerings_agent_framework
from agent_framework import (
    Agent,
    AgentMiddlewareLayer,
    ChatMiddlewareLayer,
    FunctionInvocationLayer,
    MiddlewareTermination,
    ResponseStream,
    chat_middleware,
    function_middleware,
)
from agent_framework.openai import OpenAIChatClient
from treerings import StopWorkflow
from treerings.streams import end_abandoned
from treerings.testing import Capture, ModelServer
from treerings.testing.model_script import Answer
from treerings_agent_framework import integration
from treerings_agent_framework.runs import RUNS

WHOLE = "agent forester\n  llm gpt-4o-mini\n  tool rings\n  llm gpt-4o-mini"


async def plain(agent: Agent) -> str:
    return str((await agent.run("How old?")).text)


async def streamed(agent: Agent) -> str:
    stream = agent.run("How old?", stream=True)
    async for _ in stream:
        pass
    return str((await stream.get_final_response()).text)


async def final_of_stream(agent: Agent) -> str:
    return str((await agent.run("How old?", stream=True).get_final_response()).text)


@pytest.mark.parametrize("way", [plain, streamed, final_of_stream])
def test_every_way_to_run_an_agent_is_one_tree(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"}, id="c1").say("112 rings.")

    assert asyncio.run(way(agent(instructions="Be brief."))) == "112 rings."

    assert captured.outline(hidden=True) == WHOLE
    root, first, called, last = captured.workflow.steps
    assert (root.input, root.output) == ("How old?", "112 rings.")
    assert (first.model, first.provider) == ("gpt-4o-mini", "openai")
    assert first.input == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How old?"}]
    assert first.output["tool_calls"] == [{"id": "c1", "name": "rings", "args": {"tree": "oak"}}]
    assert (called.input, called.output) == ({"tree": "oak"}, "oak: 112")
    assert (called.attributes["tool_call_id"], called.attributes["called_by"]) == ("c1", first.id)
    assert last.output == {"role": "assistant", "content": "112 rings."}
    assert last.input[-1] == {"role": "tool", "tool_call_id": "c1", "content": "oak: 112"}
    assert (last.attributes["finish_reason"], bool(last.attributes["response_id"])) == ("stop", True)
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)
    assert (totals.llm_calls, totals.failed_steps) == (2, 0)
    assert (last.first_token_ms is not None) == (way is not plain)


@pytest.mark.parametrize("way", [plain, streamed])
def test_the_responses_interface_is_recorded_too(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.")
    client = OpenAIChatClient(model="gpt-4o-mini", api_key="unused", base_url=server.base_url)

    assert asyncio.run(way(agent(client=client))) == "112 rings."

    assert captured.outline(hidden=True) == WHOLE
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)


@pytest.mark.parametrize("way", [plain, streamed])
def test_the_steps_of_the_sdk_are_below_and_counted_once(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    treerings.instrument("openai")
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.")

    asyncio.run(way(agent()))

    assert [line.strip().split()[0] for line in captured.outline().splitlines()] == (
        ["agent", "llm", "llm", "tool", "llm", "llm"]
    )
    assert captured.outline().count("\n    llm ") == 2
    assert captured.workflow.totals.llm_calls == 2
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_the_middleware_alone_records_one_agent(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    integration.uninstrument()
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.").say("Hello.")
    ours = agent(middleware=treerings_agent_framework.middleware())

    async def both() -> None:
        await plain(ours)
        await plain(agent(name="other"))

    asyncio.run(both())

    assert captured.outline() == WHOLE


@pytest.mark.parametrize("way", [plain, streamed])
def test_the_middleware_is_harmless_with_everything_recorded(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("112 rings.")
    ours = treerings_agent_framework.middleware()

    asyncio.run(way(agent(middleware=[*ours, *treerings_agent_framework.middleware()])))

    assert captured.outline() == WHOLE


def test_an_agent_as_a_tool_is_below_the_tool(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.call_tool("counter", {"task": "oak"}).call_tool("rings", {"tree": "oak"}).say("112.").say("It is 112.")
    boss = agent(name="boss", tools=[agent(name="counter").as_tool()])

    asyncio.run(plain(boss))

    assert captured.outline() == (
        "agent boss\n"
        "  llm gpt-4o-mini\n"
        "  tool counter\n"
        "    agent counter\n"
        "      llm gpt-4o-mini\n"
        "      tool rings\n"
        "      llm gpt-4o-mini\n"
        "  llm gpt-4o-mini"
    )


def test_parallel_runs_keep_their_own_steps(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.when(tool_result=False).call_tool("rings", {"tree": "oak"}, times=5)
    server.when(tool_result=True).say("112 rings.", times=5)
    forester = agent()

    async def all_at_once() -> None:
        await asyncio.gather(*(plain(forester) for _ in range(5)))

    asyncio.run(all_at_once())

    assert captured.outline() == "\n\n".join([WHOLE] * 5)


def test_own_steps_in_a_synchronous_tool_are_below_it(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    def measure(tree: str) -> str:
        """Measure a tree."""
        with treerings.step("tool", "tape"):
            return tree

    server.call_tool("measure", {"tree": "oak"}).say("Done.")

    asyncio.run(plain(agent(tools=[measure])))

    assert "  tool measure\n    tool tape\n" in captured.outline()


def test_a_failing_tool_is_an_error_of_the_tool_only(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    def saw(tree: str) -> str:
        """Saw a tree."""
        raise RuntimeError("the saw is blunt")

    server.call_tool("saw", {"tree": "oak"}).say("It did not work.")

    asyncio.run(plain(agent(tools=[saw])))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini\n  tool saw error\n  llm gpt-4o-mini"
    assert captured.step("tool").error == "the saw is blunt"


def test_a_tool_that_does_not_exist_is_an_error(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.call_tool("axe", {"tree": "oak"}).say("There is no axe.")

    asyncio.run(plain(agent()))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini\n  tool axe error\n  llm gpt-4o-mini"
    assert captured.step("tool").attributes["called_by"] == captured.workflow.steps[1].id


@pytest.mark.parametrize("way", [plain, streamed])
def test_a_failing_model_is_an_error_up_to_the_agent(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], way: Callable[[Agent], Any]
) -> None:
    server.fail(400, message="no such model")

    with pytest.raises(Exception, match="no such model"):
        asyncio.run(way(agent()))

    assert captured.outline() == "agent forester error\n  llm gpt-4o-mini error"


def test_a_repeated_model_call_has_its_number(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    @chat_middleware
    async def again(context: Any, call_next: Any) -> None:
        try:
            await call_next()
        except Exception:
            await call_next()

    server.fail(400, message="busy").say("112 rings.")

    asyncio.run(plain(agent(middleware=[again])))

    assert captured.outline(show=("attempt",)) == (
        "agent forester\n  llm gpt-4o-mini error\n  llm gpt-4o-mini attempt=2"
    )


def test_middleware_that_ends_the_run_is_no_error(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    @function_middleware
    async def refuses(context: Any, call_next: Any) -> None:
        raise MiddlewareTermination("no tools today", result="no")

    server.call_tool("rings", {"tree": "oak"})

    asyncio.run(plain(agent(middleware=[refuses])))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini"


def test_a_cancelled_run_is_cancelled_down_to_the_model_call(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    async def cancel() -> None:
        task = asyncio.ensure_future(plain(agent()))
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def answer(_: Any) -> Answer:
            loop.call_soon_threadsafe(asked.set)
            return Answer("late", delay=5)

        server.reply(answer)
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert captured.outline() == "agent forester cancelled\n  llm gpt-4o-mini cancelled"


@pytest.mark.parametrize("leave", ["close", "drop"])
def test_a_stream_that_is_left_is_cancelled(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent], leave: str
) -> None:
    server.say("one two three four five")

    async def read() -> None:
        stream = agent().run("How old?", stream=True)
        await anext(stream)
        if leave == "close":
            await stream.close()
        del stream
        gc.collect()

    asyncio.run(read())
    gc.collect()
    end_abandoned()  # as the recorder's worker does

    assert captured.outline() == "agent forester cancelled\n  llm gpt-4o-mini cancelled"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_stream_keeps_its_type_and_is_not_read_by_us(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    async def look() -> None:
        stream = agent().run("How old?", stream=True)
        assert type(stream) is ResponseStream
        await stream.close()

    asyncio.run(look())

    assert server.requests == []
    assert captured.workflows == []


def test_a_guard_in_a_tool_stops_the_run(server: ModelServer, captured: Capture, agent: Callable[..., Agent]) -> None:
    class Guard:
        @treerings.hookimpl
        def step_starting(self, step: treerings.StepStarted) -> None:
            if step.kind == "tool":
                raise StopWorkflow("No tools.")

    treerings.register(Guard())
    server.call_tool("rings", {"tree": "oak"})

    with pytest.raises(StopWorkflow, match="No tools"):
        asyncio.run(plain(agent()))

    assert captured.outline() == ("agent forester cancelled\n  llm gpt-4o-mini\n  tool rings cancelled")


def test_uninstrument_gives_the_classes_back() -> None:
    places = [
        (AgentMiddlewareLayer, "_get_agent_middleware_pipeline"),
        (ChatMiddlewareLayer, "_get_chat_middleware_pipeline"),
        (FunctionInvocationLayer, "_get_function_middleware_pipeline"),
    ]
    before = [owner.__dict__[name] for owner, name in places]

    integration.instrument()
    integration.instrument()
    assert [owner.__dict__[name] for owner, name in places] != before
    integration.uninstrument()

    assert [owner.__dict__[name] for owner, name in places] == before


def test_an_agent_that_ran_recorded_is_not_recorded_after_uninstrument(
    server: ModelServer, captured: Capture, agent: Callable[..., Agent]
) -> None:
    server.say("Hello.").say("Hello.")
    forester = agent()

    async def twice() -> None:
        await plain(forester)
        integration.uninstrument()
        await plain(forester)

    asyncio.run(twice())

    assert len(captured.workflows) == 1


def test_a_usage_of_nothing_is_unknown(captured: Capture, agent: Callable[..., Agent]) -> None:
    from agent_framework import (
        BaseChatClient,
        ChatMiddlewareLayer,
        ChatResponse,
        FunctionInvocationLayer,
        Message,
    )

    class Silent(FunctionInvocationLayer, ChatMiddlewareLayer, BaseChatClient):
        def _inner_get_response(self, **_: Any) -> Any:
            async def said() -> ChatResponse:
                return ChatResponse(messages=[Message("assistant", ["Hm."])], usage_details={"input_token_count": 0})

            return said()

    asyncio.run(plain(agent(client=Silent(), tools=None)))

    assert captured.step("llm").estimated


def test_a_session_groups_its_runs(server: ModelServer, captured: Capture, agent: Callable[..., Agent]) -> None:
    server.say("One.").say("Two.")
    forester = agent()

    async def talk() -> None:
        session = forester.create_session(session_id="s1")
        await forester.run("How old?", session=session)
        await forester.run("Sure?", session=session)

    asyncio.run(talk())

    assert [workflow.session_id for workflow in captured.workflows] == ["s1", "s1"]


def test_many_runs_leave_nothing_behind(captured: Capture, agent: Callable[..., Agent], server: ModelServer) -> None:
    server.when().say("112 rings.", times=60)
    forester = agent()

    async def many() -> None:
        for _ in range(60):
            await plain(forester)

    asyncio.run(many())

    assert not RUNS
    assert len(captured.workflows) == 60
