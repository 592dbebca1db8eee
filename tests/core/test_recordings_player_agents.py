"""Recorded agent loops are run again by real frameworks and SDKs, and use what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from treerings.testing import recordings
from treerings.testing.model_server import ModelServer
from treerings.testing.recordings import Call

pytest.importorskip("langchain")
pytest.importorskip("langchain_openai")

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI

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


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def tools(calls: list[Call]) -> list[StructuredTool]:
    """A tool for every one that the recorded requests offer; all of them return the same."""
    found: dict[str, StructuredTool] = {}
    for call in calls:
        for tool in call.request.get("tools") or ():
            function = tool.get("function", tool)
            schema = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
            found[function["name"]] = StructuredTool(
                name=function["name"],
                description=function.get("description") or "A recorded tool.",
                args_schema=schema,
                func=lambda **_: "done",
            )
    return list(found.values())


def first_loop(calls: list[Call]) -> list[Call]:
    """The calls up to the first answer that asks for no tool."""
    for index, call in enumerate(calls):
        if not any(mark in str(call.response) for mark in ("tool_calls", "function_call", "tool_use")):
            return calls[: index + 1]
    return calls


def totals(messages: list[Any]) -> tuple[int, int]:
    usages = [
        message.usage_metadata for message in messages if isinstance(message, AIMessage) and message.usage_metadata
    ]
    return sum(usage["input_tokens"] for usage in usages), sum(usage["output_tokens"] for usage in usages)


def run(server: ModelServer, name: str, **options: Any) -> tuple[list[Any], list[Call]]:
    calls = first_loop(recordings.load(name))
    server.play(calls)
    model = ChatOpenAI(base_url=server.base_url, api_key="unused", model=calls[0].asked.model, max_retries=0, **options)
    question = calls[0].asked.last_text
    return create_agent(model, tools(calls)).invoke({"messages": [("user", question)]})["messages"], calls


@pytest.mark.parametrize("name", CHAT_LOOPS)
def test_a_recorded_chat_loop_runs_to_its_end(server: ModelServer, name: str) -> None:
    messages, calls = run(server, name)

    assert len(calls) == len(server.requests) == sum(isinstance(message, AIMessage) for message in messages)
    assert len(calls) > 1


@pytest.mark.parametrize("name", RESPONSE_LOOPS)
def test_a_recorded_loop_of_responses_runs_to_its_end(server: ModelServer, name: str) -> None:
    messages, calls = run(server, name, use_responses_api=True)

    assert len(calls) == len(server.requests) == sum(isinstance(message, AIMessage) for message in messages)
    assert len(calls) > 1


@pytest.mark.parametrize("name", CHAT_LOOPS + RESPONSE_LOOPS)
def test_the_tokens_of_a_replayed_loop_are_the_recorded_ones(server: ModelServer, name: str) -> None:
    messages, calls = run(server, name, use_responses_api=name in RESPONSE_LOOPS)

    recorded = recordings.usage_total(calls)
    assert totals(messages) == (recorded.input_tokens, recorded.output_tokens)


@pytest.mark.parametrize("name", CHAT_LOOPS + RESPONSE_LOOPS)
def test_a_replayed_loop_may_stream(server: ModelServer, name: str) -> None:
    messages, calls = run(server, name, use_responses_api=name in RESPONSE_LOOPS, streaming=True, stream_usage=True)

    assert len(calls) == sum(isinstance(message, AIMessage) for message in messages)
    assert totals(messages) == (server.usage_served.input_tokens, server.usage_served.output_tokens)


def test_an_anthropic_message_is_played_to_the_sdk(server: ModelServer) -> None:
    calls = server.play("openinference/openinference__test_token_counts__TestTokenCounts.test_anthropic.json")
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=server.url, api_key="unused") as client:
        message = client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "?"}])

    assert message.usage.output_tokens == recordings.usage_total(calls[:1]).output_tokens


def test_an_anthropic_stream_is_played_to_the_sdk(server: ModelServer) -> None:
    name = "crewai/crewai__llms__TestAnthropicToolCallStreaming.test_anthropic_streaming_emits_tool_call_events.json"
    [call] = server.play(recordings.load(name)[:1])
    anthropic = pytest.importorskip("anthropic")
    with (
        anthropic.Anthropic(base_url=server.url, api_key="unused") as client,
        client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "?"}]) as stream,
    ):
        message = stream.get_final_message()

    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens == recordings.usage_total([call]).output_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_a_gemini_answer_is_played_to_the_sdk(server: ModelServer, stream: bool) -> None:
    genai = pytest.importorskip("google.genai")
    verb = "streamGenerateContent" if stream else "generateContent"
    folder = recordings.folder()
    assert folder is not None
    every = (call for path in sorted(folder.glob("*/*.json")) for call in recordings.load(path))
    call = next(call for call in every if call.endpoint == verb and call.provider == "google" and call.status == 200)
    server.play([call])
    client = genai.Client(api_key="unused", http_options={"base_url": server.url})

    if stream:
        usage = [part.usage_metadata for part in client.models.generate_content_stream(model="g", contents="?")][-1]
    else:
        usage = client.models.generate_content(model="g", contents="?").usage_metadata

    assert usage.prompt_token_count == recordings.usage_total([call]).input_tokens
