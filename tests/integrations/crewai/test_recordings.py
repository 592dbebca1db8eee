"""Real crews on recorded traffic: one tree each, with the tokens that the answers reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crewai import LLM, Agent, Crew
from crewai.tools import BaseTool
from pydantic import BaseModel, create_model
from treerings.testing import Capture, ModelServer, recordings
from treerings.testing.recordings import Call

FOLDER = recordings.folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="no recordings beside the repository")


def loops() -> dict[str, list[Call]]:
    """Recordings of chats with OpenAI, cut after the first answer that asks for no tool, which ends an agent's loop."""
    found: dict[str, list[Call]] = {}
    for path in sorted(FOLDER.glob("crewai/*.json")) if FOLDER is not None else ():
        calls = [call for call in recordings.load(path) if call.endpoint == "chat/completions" and call.status == 200]
        asks = [index for index, call in enumerate(calls) if "tool_calls" not in str(call.response)]
        calls = calls[: asks[0] + 1] if asks else calls
        if calls and calls[0].provider == "openai" and "response_format" not in calls[0].request:
            found[path.stem.removeprefix("crewai__")] = calls
    return found


def provider_calls(*endpoints: str) -> dict[str, Call]:
    """Recorded calls of other providers, by their recording."""
    found: dict[str, Call] = {}
    for path in sorted(FOLDER.glob("*/*.json")) if FOLDER is not None else ():
        for index, call in enumerate(recordings.load(path)):
            plain = (
                isinstance(call.request, dict) and call.status == 200 and recordings.usage_total([call]).input_tokens
            )
            if call.endpoint in endpoints and plain and len(found) < 30:
                found[f"{path.stem[-60:]} {index}"] = call
    return found


LOOPS = loops()
MESSAGES = provider_calls("messages")
GEMINI = provider_calls("generateContent")
CONVERSE = provider_calls("converse")
RESPONSES = provider_calls("responses")


def recorded_tools(calls: list[Call]) -> list[BaseTool]:
    """A tool for every one that the recorded requests offer; all of them return the same."""
    names: dict[str, list[str]] = {}
    for call in calls:
        for offered in call.request.get("tools") or ():
            function = offered.get("function", offered)
            names[function["name"]] = list((function.get("parameters") or {}).get("properties") or ())
    return [_tool(name, properties) for name, properties in names.items()]


def _tool(name: str, properties: list[str]) -> BaseTool:
    fields: Any = dict.fromkeys(properties, (Any, None))
    schema: type[BaseModel] = create_model(f"Schema_{len(properties)}", **fields)

    class Recorded(BaseTool):
        def _run(self, **_: Any) -> str:
            return "done"

    return Recorded(name=name, description="A recorded tool.", args_schema=schema)


@pytest.mark.parametrize("name", LOOPS)
def test_a_crew_on_a_recording_is_one_tree_with_the_recorded_tokens(
    name: str, server: ModelServer, agent: Callable[..., Agent], crew: Callable[..., Crew], captured: Capture
) -> None:
    calls = LOOPS[name]
    server.play(calls)
    server._default = lambda request: "fine"  # for what this version of CrewAI asks beyond the recording

    crew(calls[0].asked.last_text or "Work.", worker=agent(tools=recorded_tools(calls))).kickoff()

    workflow = captured.workflow
    assert workflow.status == "ok"
    assert {step.status for step in workflow.steps} <= {"ok", "error"}
    assert workflow.totals.llm_calls == len(server.requests) >= len(calls)
    assert (workflow.totals.input_tokens, workflow.totals.output_tokens) == (
        server.usage_served.input_tokens,
        server.usage_served.output_tokens,
    )
    tools = [step for step in workflow.steps if step.kind in ("tool", "handoff")]
    assert all("called_by" in step.attributes for step in tools)


def told(captured: Capture) -> tuple[int | None, int | None]:
    call = captured.step("llm")
    assert call.usage is not None
    return call.usage.input_tokens, call.usage.output_tokens


def recorded(call: Call) -> tuple[int | None, int | None]:
    total = recordings.usage_total([call])
    return total.input_tokens, total.output_tokens


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_of_anthropic_has_its_tokens(name: str, server: ModelServer, captured: Capture) -> None:
    pytest.importorskip("anthropic")
    call = MESSAGES[name]
    server.play([call])

    LLM(model="anthropic/claude-sonnet-4", base_url=server.url, api_key="unused", stream=call.is_stream).call("Work.")

    assert told(captured) == recorded(call)
    assert captured.step("llm").provider == "anthropic"


@pytest.mark.parametrize("name", GEMINI)
def test_an_answer_of_gemini_has_its_tokens(name: str, server: ModelServer, captured: Capture) -> None:
    pytest.importorskip("google.genai")
    call = GEMINI[name]
    server.play([call])
    options = {"http_options": {"base_url": server.url}}

    LLM(model="gemini/gemini-2.0-flash", api_key="unused", client_params=options).call("Work.")

    assert told(captured) == recorded(call)
    assert captured.step("llm").provider == "google"


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_of_openai_has_its_tokens(name: str, server: ModelServer, captured: Capture) -> None:
    call = RESPONSES[name]
    server.play([call])

    LLM(
        model="openai/gpt-4o-mini", base_url=server.base_url, api_key="unused", api="responses", stream=call.is_stream
    ).call("Work.")

    assert told(captured) == recorded(call)


@pytest.mark.parametrize("name", CONVERSE)
def test_an_answer_of_bedrock_has_its_tokens(
    name: str, server: ModelServer, captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("boto3")
    call = CONVERSE[name]
    server.play([call])
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
    keys = {"aws_access_key_id": "unused", "aws_secret_access_key": "unused", "region_name": "us-east-1"}

    LLM(model="bedrock/anthropic.claude-3-haiku-20240307-v1:0", **keys).call("Work.")

    assert told(captured) == recorded(call)
    assert captured.step("llm").provider == "bedrock"
