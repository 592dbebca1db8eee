"""Automatic function calling is an agent: each request is a model call, each function a tool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import treerings
from google.genai import Client, types
from google_answers import ASK, MODEL, function_call, streamed, whole
from treerings.testing import Capture, ModelServer

SHOWN = ("input_tokens", "output_tokens")


def tree(name: str) -> str:
    return f"""\
agent {name}
  llm generate_content input_tokens=105 output_tokens=27
  tool ring_count
    chain microscope
  llm generate_content input_tokens=105 output_tokens=27"""


def ring_count(tree: str) -> str:
    """Count the rings of a tree."""
    with treerings.step("chain", "microscope"):
        return f"{tree}: 112"


async def ring_count_async(tree: str) -> str:
    """Count the rings of a tree."""
    with treerings.step("chain", "microscope"):
        return f"{tree}: 112"


ring_count_async.__name__ = "ring_count"


def broken(tree: str) -> str:
    """Count the rings of a tree."""
    raise ValueError("too rotten")


def using(*functions: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(tools=list(functions))


def test_functions_are_tools_below_one_agent(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([whole(function_call(tree="oak")), whole()])

    response = client.models.generate_content(**ASK, config=using(ring_count))

    assert response.text == "112 rings."
    assert captured.outline(show=SHOWN) == tree("generate_content")
    agent, tool = captured.step("agent"), captured.step("tool")
    assert (agent.input, agent.output) == ("How old is the oak?", "112 rings.")
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
    assert tool.attributes["called_by"] == captured.steps[1].id
    assert captured.workflow.totals.input_tokens == 210


@pytest.mark.parametrize("function", [ring_count, ring_count_async])
def test_asynchronous_calls_are_one_tree(
    server: ModelServer, run: Callable[..., Any], captured: Capture, function: Any
) -> None:
    server.play([whole(function_call(tree="oak")), whole()])

    run(lambda client: client.models.generate_content(**ASK, config=using(function)))

    assert captured.outline(show=SHOWN) == tree("generate_content")


def test_a_stream_is_one_tree(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([streamed(function_call(tree="oak")), streamed()])

    texts = [chunk.text for chunk in client.models.generate_content_stream(**ASK, config=using(ring_count))]

    assert texts[-2:] == ["112 ", "rings."]
    assert set(tree("generate_content").splitlines()) == set(captured.outline(show=SHOWN).splitlines())
    assert captured.step("agent").output == "112 rings."


def test_an_asynchronous_stream_is_one_tree(server: ModelServer, run: Callable[..., Any], captured: Capture) -> None:
    server.play([streamed(function_call(tree="oak")), streamed()])

    async def ask(client: Any) -> None:
        async for _ in await client.models.generate_content_stream(**ASK, config=using(ring_count_async)):
            pass

    run(ask)

    assert set(tree("generate_content").splitlines()) == set(captured.outline(show=SHOWN).splitlines())


def test_a_chat_is_one_tree_a_message(
    server: ModelServer, client: Client, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([whole(function_call(tree="oak")), whole(), streamed(function_call(tree="oak")), streamed()])
    server.play([whole(function_call(tree="oak")), whole()])

    chat = client.chats.create(model=MODEL, config=using(ring_count))
    chat.send_message("How old?")
    list(chat.send_message_stream("How old?"))

    async def ask(client: Any) -> None:
        await client.chats.create(model=MODEL, config=using(ring_count)).send_message("How old?")

    run(ask)

    first, second, third = captured.outline(show=SHOWN).split("\n\n")
    assert first == third == tree("send_message")
    assert set(second.splitlines()) == set(first.splitlines())


def test_a_function_that_fails_is_an_error_and_the_run_is_not(
    server: ModelServer, client: Client, captured: Capture
) -> None:
    server.play([whole(function_call("broken", tree="oak")), whole()])

    client.models.generate_content(**ASK, config=using(broken))

    assert captured.outline() == (
        "agent generate_content\n  llm generate_content\n  tool broken error\n  llm generate_content"
    )
    tool = captured.step("tool")
    assert (tool.error_type, tool.error) == ("ValueError", "too rotten")


def test_a_stream_that_is_left_is_cancelled(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([streamed({"text": "Let me "}, {"text": "count."})])

    chunks = client.models.generate_content_stream(**ASK, config=using(ring_count))
    next(chunks)
    chunks.close()

    assert captured.outline() == "agent generate_content cancelled\n  llm generate_content cancelled"


def test_functions_that_are_not_called_for_it_make_no_agent(
    server: ModelServer, client: Client, captured: Capture
) -> None:
    server.play([whole(function_call(tree="oak"))])
    config = using(ring_count)
    config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)

    client.models.generate_content(**ASK, config=config)

    assert captured.outline() == "llm generate_content"
