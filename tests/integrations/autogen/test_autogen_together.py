"""AutoGen together with the plugin for OpenAI's SDK: one call, seen twice, counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from openai import AsyncOpenAI
from treerings.testing import Capture, ModelServer

sdk = pytest.importorskip("treerings_openai.integration")


@pytest.fixture(autouse=True)
def both(instrumented: None) -> Iterator[None]:
    sdk.instrument()
    yield
    sdk.uninstrument()


@pytest.mark.parametrize("stream", [False, True], ids=["create", "create_stream"])
def test_the_sdks_step_is_below_autogens_and_counts_once(
    server: ModelServer, client: Callable[..., Any], captured: Capture, stream: bool
) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("112 years")

    def rings(tree: str) -> str:
        """Count the rings of a tree."""
        return "112"

    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
    agent = AssistantAgent(
        "ann", client(**options), tools=[rings], reflect_on_tool_use=True, model_client_stream=stream
    )
    asyncio.run(RoundRobinGroupChat([agent], max_turns=1).run(task="How old?"))

    steps = {step.id: step for step in captured.workflow.steps}
    below = [step for step in steps.values() if step.source == "openai"]
    assert [steps[step.parent_id or ""].source for step in below] == ["autogen", "autogen"]
    totals = captured.workflow.totals
    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens) == (
        2,
        server.usage_served.input_tokens,
        server.usage_served.output_tokens,
    )


def test_a_call_of_the_sdk_in_a_tool_is_below_the_tool(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.call_tool("look").say("found")

    async def look() -> str:
        """Look."""
        own = AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0)
        answer = await own.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "?"}])
        return str(answer.choices[0].message.content)

    asyncio.run(AssistantAgent("ann", client(), tools=[look]).run(task="How old?"))

    tool = captured.step("tool")
    assert [step.source for step in captured.steps if step.parent_id == tool.id] == ["openai"]
    assert captured.workflow.totals.llm_calls == 2
