"""The SDK's tool runner is an agent: its model calls and the tools that it runs are below it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("anthropic.lib.tools")

import treerings
from anthropic import Anthropic, APIStatusError, beta_async_tool, beta_tool
from anthropic_answers import ASK, MODEL, streamed, text, tool_use, whole
from treerings.testing import Capture, ModelServer

TREE = f"""\
agent tool_runner
  llm messages model={MODEL} output_tokens=7
  tool ring_count
    chain microscope
  llm messages model={MODEL} output_tokens=7"""
SHOWN = ("model", "output_tokens")


@beta_tool
def ring_count(tree: str) -> str:
    """Count the rings of a tree."""
    with treerings.step("chain", "microscope"):
        return f"{tree}: 112"


@beta_async_tool(name="ring_count")
async def ring_count_async(tree: str) -> str:
    """Count the rings of a tree."""
    with treerings.step("chain", "microscope"):
        return f"{tree}: 112"


@beta_tool
def broken(tree: str) -> str:
    """Count the rings of a tree."""
    raise ValueError("too rotten")


def test_a_runner_is_one_tree(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole(tool_use(tree="oak")), whole()])

    last = client.beta.messages.tool_runner(**ASK, tools=[ring_count]).until_done()

    assert last.content[0].text == "112 rings."
    assert captured.outline(show=SHOWN) == TREE
    agent, tool = captured.step("agent"), captured.step("tool")
    assert (agent.input, agent.output) == (ASK["messages"], {"role": "assistant", "content": "112 rings."})
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
    first = captured.steps[1]
    assert tool.attributes == {"tool_call_id": "toolu_1", "called_by": first.id}


def test_an_asynchronous_runner_is_one_tree(server: ModelServer, run: Callable[..., Any], captured: Capture) -> None:
    server.play([whole(tool_use(tree="oak")), whole()])

    async def ask(client: Any) -> Any:
        return await client.beta.messages.tool_runner(**ASK, tools=[ring_count_async]).until_done()

    assert run(ask).content[0].text == "112 rings."
    assert captured.outline(show=SHOWN) == TREE


def test_a_streaming_runner_is_one_tree(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([streamed(tool_use(tree="oak")), streamed()])

    for stream in client.beta.messages.tool_runner(**ASK, tools=[ring_count], stream=True):
        for _ in stream:
            pass

    assert captured.outline(show=SHOWN) == TREE


def test_an_asynchronous_streaming_runner_is_one_tree(
    server: ModelServer, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([streamed(tool_use(tree="oak")), streamed()])

    async def ask(client: Any) -> None:
        async for stream in client.beta.messages.tool_runner(**ASK, tools=[ring_count_async], stream=True):
            await stream.get_final_message()

    run(ask)

    assert captured.outline(show=SHOWN) == TREE


def test_the_programs_own_steps_between_the_turns_are_its_own(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([whole(tool_use(tree="oak")), whole()])

    with treerings.step("workflow", "survey"):
        for _ in client.beta.messages.tool_runner(**ASK, tools=[ring_count]):
            with treerings.step("chain", "print"):
                pass

    assert captured.outline() == (
        "workflow survey\n  agent tool_runner\n    llm messages\n    tool ring_count\n      chain microscope\n"
        "    llm messages\n  chain print\n  chain print"
    )


def test_a_tool_that_fails_is_an_error_and_the_run_is_not(
    server: ModelServer, client: Anthropic, captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "anthropic")
    server.play([whole(tool_use("broken", tree="oak")), whole()])

    client.beta.messages.tool_runner(**ASK, tools=[broken]).until_done()

    assert captured.outline() == "agent tool_runner\n  llm messages\n  tool broken error\n  llm messages"
    assert "too rotten" in captured.step("tool").error


def test_a_runner_that_is_left_is_cancelled(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole(tool_use(tree="oak")), whole()])

    runner = client.beta.messages.tool_runner(**ASK, tools=[ring_count])
    next(runner)
    runner.close()

    assert captured.outline() == "agent tool_runner cancelled\n  llm messages"


def test_a_runner_that_is_left_at_its_answer_is_done(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole(text("112"))])

    runner = client.beta.messages.tool_runner(**ASK, tools=[ring_count])
    next(runner)
    runner.close()

    assert captured.outline() == "agent tool_runner\n  llm messages"


def test_a_runner_that_fails_is_an_error(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([])

    with pytest.raises(APIStatusError):
        client.beta.messages.tool_runner(**ASK, tools=[ring_count]).until_done()

    assert captured.outline() == "agent tool_runner error\n  llm messages error"


def test_a_runner_that_is_never_read_records_nothing(client: Anthropic, captured: Capture) -> None:
    client.beta.messages.tool_runner(**ASK, tools=[ring_count])

    assert captured.steps == []
