"""Runs of agents as trees: tools, retries, validators, sub-agents, streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.exceptions import ApprovalRequired, ModelHTTPError
from pydantic_ai.tools import DeferredToolRequests
from treerings.testing import Capture, ModelServer

Make = Callable[..., Agent[Any, Any]]


class Age(BaseModel):
    years: int


@pytest.mark.parametrize("way", ["run", "run_sync"])
def test_an_agent_with_a_tool(captured: Capture, server: ModelServer, agent: Make, way: str) -> None:
    server.call_tool("rings", {"tree": "oak"}, id="call_7", usage={"input_tokens": 50, "output_tokens": 9})
    server.say("112 years", usage={"input_tokens": 70, "output_tokens": 4})
    forester = agent(instructions="Be brief.")

    if way == "run":
        asyncio.run(forester.run("How old is the oak?", model_settings={"temperature": 0.5}))
    else:
        forester.run_sync("How old is the oak?", model_settings={"temperature": 0.5})

    assert captured.outline(show=("model", "provider", "input_tokens", "output_tokens", "tool_call_id")) == (
        "agent forester\n"
        "  llm OpenAIChatModel model=gpt-4o-mini provider=openai input_tokens=50 output_tokens=9\n"
        "  tool rings tool_call_id=call_7\n"
        "  llm OpenAIChatModel model=gpt-4o-mini provider=openai input_tokens=70 output_tokens=4"
    )
    first, second = (step for step in captured.steps if step.kind == "llm")
    tool, whole = captured.step("tool"), captured.step("agent")
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
    assert tool.attributes["called_by"] == first.id
    assert first.input == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How old is the oak?"},
    ]
    assert first.output["tool_calls"][0]["name"] == "rings"
    assert second.output == {"role": "assistant", "content": "112 years"}
    assert (second.attributes["finish_reason"], second.attributes["request"]) == ("stop", {"temperature": 0.5})
    assert (whole.input, whole.output) == ("How old is the oak?", "112 years")
    assert captured.workflow.totals.input_tokens == 120


def test_a_tool_that_asks_for_a_retry(captured: Capture, server: ModelServer, agent: Make) -> None:
    def measure(tree: str) -> str:
        if tree != "oak":
            raise ModelRetry("Which tree?")
        return "31 m"

    server.call_tool("measure", {"tree": "it"})
    server.call_tool("measure", {"tree": "oak"})
    server.say("31 m")

    agent(tools=[measure]).run_sync("How high?")

    assert captured.outline(show=("attempt",)) == (
        "agent forester\n"
        "  llm OpenAIChatModel\n"
        "  tool measure error\n"
        "  llm OpenAIChatModel\n"
        "  tool measure attempt=2\n"
        "  llm OpenAIChatModel"
    )


def test_arguments_that_a_tool_does_not_take(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.call_tool("rings", {"wood": "oak"})
    server.say("112")

    agent().run_sync("How old?")

    assert captured.outline() == ("agent forester\n  llm OpenAIChatModel\n  tool rings error\n  llm OpenAIChatModel")
    assert captured.step("tool").error_type == "ValidationError"


def test_an_error_in_a_tool_ends_the_run(captured: Capture, server: ModelServer, agent: Make) -> None:
    def break_saw() -> str:
        raise ZeroDivisionError("broken")

    server.call_tool("break_saw")

    with pytest.raises(ZeroDivisionError):
        agent(tools=[break_saw]).run_sync("Saw!")

    assert captured.outline(show=("error_type",)) == (
        "agent forester error error_type=ZeroDivisionError\n"
        "  llm OpenAIChatModel\n"
        "  tool break_saw error error_type=ZeroDivisionError"
    )


def test_a_validator_that_refuses(captured: Capture, server: ModelServer, agent: Make) -> None:
    forester = agent()

    @forester.output_validator
    def with_a_number(answer: str) -> str:
        if "112" not in answer:
            raise ModelRetry("Say a number.")
        return answer

    server.say("old")
    server.say("112")

    forester.run_sync("How old?")

    assert captured.outline() == (
        "agent forester\n  llm OpenAIChatModel\n  guardrail output validation error\n  llm OpenAIChatModel"
    )


def test_an_output_that_is_not_of_its_type(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.call_tool("final_result", {"years": "many"})
    server.call_tool("final_result", {"years": 112})

    agent(output_type=Age, tools=[]).run_sync("How old?")

    assert captured.outline() == (
        "agent forester\n  llm OpenAIChatModel\n  guardrail output validation error\n  llm OpenAIChatModel"
    )
    assert captured.step("agent").output == {"years": 112}


def test_a_function_that_makes_the_output_is_a_tool(captured: Capture, server: ModelServer, agent: Make) -> None:
    def double(years: int) -> int:
        return 2 * years

    server.call_tool("final_result", {"years": 56})

    agent(output_type=double, tools=[]).run_sync("How old?")

    assert captured.outline() == "agent forester\n  llm OpenAIChatModel\n  tool double"


def test_an_agent_in_a_tool_is_below_it(captured: Capture, server: ModelServer, agent: Make) -> None:
    counter = agent("counter", tools=[])

    async def ask(question: str) -> str:
        return str((await counter.run(question)).output)

    server.call_tool("ask", {"question": "rings?"})
    server.say("112")
    server.say("It has 112.")

    agent(tools=[ask]).run_sync("How old?")

    assert captured.outline(show=("agent",)) == (
        "agent forester agent=forester\n"
        "  llm OpenAIChatModel agent=forester\n"
        "  tool ask agent=forester\n"
        "    agent counter agent=counter\n"
        "      llm OpenAIChatModel agent=counter\n"
        "  llm OpenAIChatModel agent=forester"
    )


def test_own_steps_are_inside_of_tools_and_runs_inside_of_own_steps(
    captured: Capture, server: ModelServer, agent: Make
) -> None:
    def look_up(tree: str) -> str:
        with treerings.step("retriever", "shelf"):
            return "112"

    server.call_tool("look_up", {"tree": "oak"})
    server.say("112")

    with treerings.step("task", "ask"):
        agent(tools=[look_up]).run_sync("How old?")

    assert captured.outline() == (
        "task ask\n"
        "  agent forester\n"
        "    llm OpenAIChatModel\n"
        "    tool look_up\n"
        "      retriever shelf\n"
        "    llm OpenAIChatModel"
    )


def test_the_sdks_own_step_is_below_the_model_call(
    captured: Capture, server: ModelServer, agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai._base_client as sdk

    monkeypatch.setattr(sdk.AsyncAPIClient, "request", treerings.step("llm", "sdk")(sdk.AsyncAPIClient.request))
    server.say("one")
    server.say("two")

    async def both() -> None:
        await agent().run("?")
        async with agent().run_stream("?") as result:
            await result.get_output()

    asyncio.run(both())

    assert captured.outline() == "\n\n".join(["agent forester\n  llm OpenAIChatModel\n    llm sdk"] * 2)


def test_a_stream(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.say("an old oak", usage={"input_tokens": 50, "output_tokens": 9})

    async def read() -> list[str]:
        async with agent().run_stream("?") as result:
            return [text async for text in result.stream_text(delta=True, debounce_by=None)]

    assert "".join(asyncio.run(read())) == "an old oak"

    assert captured.outline(show=("input_tokens", "output_tokens")) == (
        "agent forester\n  llm OpenAIChatModel input_tokens=50 output_tokens=9"
    )
    step = captured.step("llm")
    assert step.first_token_ms is not None
    assert step.output["content"] == "an old oak"


def test_a_stream_that_nobody_reads_on_is_cancelled(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.say("an oak is a tree that stands for long " * 20, chunk_delay=0.005)

    async def first() -> None:
        async with agent().run_stream("?") as result:
            async for _ in result.stream_text(debounce_by=None):
                break

    asyncio.run(first())

    assert captured.outline() == "agent forester cancelled\n  llm OpenAIChatModel cancelled"


def test_iterating_over_the_nodes(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.call_tool("rings", {"tree": "oak"})
    server.say("112")

    async def iterate() -> int:
        nodes = 0
        async with agent().iter("How old?") as run:
            async for _ in run:
                nodes += 1
        return nodes

    assert asyncio.run(iterate()) == 6
    assert captured.outline() == ("agent forester\n  llm OpenAIChatModel\n  tool rings\n  llm OpenAIChatModel")


def test_a_loop_over_the_nodes_that_is_left_is_cancelled(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.call_tool("rings", {"tree": "oak"})

    async def leave() -> None:
        async with agent().iter("How old?") as run:
            async for node in run:
                if Agent.is_call_tools_node(node):
                    break

    asyncio.run(leave())

    assert captured.outline() == "agent forester cancelled\n  llm OpenAIChatModel"


def test_a_run_whose_time_is_over_is_cancelled(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.say("112", delay=5)

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await agent().run("How old?")

    asyncio.run(impatient())

    assert captured.outline() == "agent forester cancelled\n  llm OpenAIChatModel cancelled"


def test_an_error_of_the_provider(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.fail(400)

    with pytest.raises(ModelHTTPError):
        agent().run_sync("How old?")

    assert captured.outline(show=("error_type",)) == (
        "agent forester error error_type=ModelHTTPError\n  llm OpenAIChatModel error error_type=ModelHTTPError"
    )


def test_a_tool_that_waits_for_approval_interrupts(captured: Capture, server: ModelServer, agent: Make) -> None:
    def fell(ctx: RunContext[Any], tree: str) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return "felled"

    server.call_tool("fell", {"tree": "oak"})

    agent(tools=[fell], output_type=[str, DeferredToolRequests]).run_sync("Fell it!")

    assert captured.outline() == ("agent forester interrupted\n  llm OpenAIChatModel\n  tool fell interrupted")


def test_runs_at_once_stay_apart(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.when(tool_result=False).call_tool("rings", {"tree": "oak"}, times=None)
    server.when(tool_result=True).say("112", times=None)

    async def many() -> None:
        await asyncio.gather(*(agent(f"a{number}").run("?") for number in range(5)))

    asyncio.run(many())

    assert sorted(captured.outline().split("\n\n")) == [
        f"agent a{number}\n  llm OpenAIChatModel\n  tool rings\n  llm OpenAIChatModel" for number in range(5)
    ]


def test_metadata_names_the_session(captured: Capture, server: ModelServer, agent: Make) -> None:
    server.say("112")

    agent().run_sync("How old?", metadata={"session_id": "s-41"})

    assert {step.session_id for step in captured.steps} == {"s-41"}


def test_a_version_that_knows_no_realtime_sessions(
    captured: Capture, server: ModelServer, agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(RunContext, "realtime", raising=False)
    server.say("112 years")

    agent().run_sync("How old is the oak?")

    assert captured.outline() == "agent forester\n  llm OpenAIChatModel"
