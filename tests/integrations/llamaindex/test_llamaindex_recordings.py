"""Recorded agent loops and embeddings, run again by LlamaIndex: one tree each, with the tokens that were reported."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.core.tools.types import ToolMetadata
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel, ConfigDict, create_model
from treerings.testing import Capture, ModelServer, recordings
from treerings.testing.recordings import Call

pytestmark = pytest.mark.skipif(recordings.folder() is None, reason="no recordings beside the repository")

CHAT_LOOPS = [
    "crewai/crewai__agents__test_agent_kickoff_with_platform_tools.json",
    "crewai/crewai__agents__test_native_tool_calling_error_handling.json",
    "openllmetry/openllmetry__test_agent__test_agent_arun_streaming_with_tools.json",
]
RESPONSE_LOOPS = [
    "openinference/openinference__test_processor__test_tool_with_complex_return_type.json",
    "openllmetry/openllmetry__test_complete_handoff_with_tools__test_router_analytics_complete_workflow.json",
    "openllmetry/openllmetry__test_openai_agents__test_music_composer_handoff_hierarchy.json",
]


def tools(calls: list[Call]) -> list[FunctionTool]:
    """A tool for every one that the recorded requests offer; all of them return the same."""
    found: dict[str, FunctionTool] = {}
    for call in calls:
        for tool in call.request.get("tools") or ():
            function = tool.get("function", tool)
            names = (function.get("parameters") or {}).get("properties") or {}
            schema: type[BaseModel] = create_model(
                function["name"], __config__=ConfigDict(extra="allow"), **dict.fromkeys(names, (object, None))
            )
            description = function.get("description") or "A recorded tool."
            metadata = ToolMetadata(description=description[:1_000], name=function["name"], fn_schema=schema)
            found[function["name"]] = FunctionTool(fn=lambda **_: "done", metadata=metadata)
    return list(found.values())


def first_loop(calls: list[Call]) -> list[Call]:
    """The calls up to the first answer that asks for no tool."""
    for index, call in enumerate(calls):
        if not any(mark in str(call.response) for mark in ("tool_calls", "function_call", "tool_use")):
            return calls[: index + 1]
    return calls


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", CHAT_LOOPS + RESPONSE_LOOPS)
def test_a_recorded_loop_is_one_tree_with_the_recorded_tokens(
    captured: Capture, server: ModelServer, name: str, streaming: bool
) -> None:
    calls = first_loop(recordings.load(name))
    server.play(calls)
    kind = OpenAIResponses if name in RESPONSE_LOOPS else OpenAI
    options = {"additional_kwargs": {"stream_options": {"include_usage": True}}} if kind is OpenAI and streaming else {}
    model = kind(model="gpt-4o-mini", api_base=server.base_url, api_key="unused", max_retries=0, **options)
    agent = FunctionAgent(name="player", tools=tools(calls), llm=model, streaming=streaming)

    async def run() -> None:
        await agent.run(calls[0].asked.last_text)

    asyncio.run(run())

    workflow, served = captured.workflow, server.usage_served
    made = [step for step in workflow.steps if step.kind == "llm"]
    assert len(made) == len(server.requests) == len(calls) > 1
    assert (workflow.totals.input_tokens, workflow.totals.output_tokens) == (served.input_tokens, served.output_tokens)
    assert not any(step.estimated for step in made)
    asked = {step.id for step in made}
    called = [step for step in workflow.steps if step.kind == "tool"]
    assert called
    assert {step.attributes.get("called_by") for step in called} <= asked
