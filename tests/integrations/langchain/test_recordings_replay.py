"""Agents that run on recorded traffic of real providers: one tree, and in it the tokens that the answers reported."""

from __future__ import annotations

from typing import Any

import pytest
from replaying import FOLDER, Replay, recorded, usable
from treerings import Step
from treerings.testing import Capture, ModelServer, recordings
from treerings.testing.recordings import Call

pytestmark = pytest.mark.skipif(FOLDER is None, reason="no recordings beside the repository")

CHAT, RESPONSES, ANTHROPIC = "chat/completions", "responses", "messages"
GOOGLE, GOOGLE_STREAM = "generateContent", "streamGenerateContent"
NAMES = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def check(replay: Replay, captured: Capture) -> None:
    """One tree; its reported tokens are those of the answers; each request is one step."""
    [workflow] = captured.workflows
    calls = [step for step in workflow.steps if step.kind == "llm"]
    assert len(calls) == len(replay.server.requests) >= len(replay.calls)
    assert reported(calls) == expected(replay.answered)
    assert {step.agent for step in calls} == {"replayed"}
    assert all(step.status != "running" for step in workflow.steps)


def reported(calls: list[Step]) -> dict[str, int]:
    """The tokens in the tree, without our own estimates."""
    usages = [step.usage for step in calls if step.usage is not None and not step.estimated]
    return {name: sum(getattr(usage, name) or 0 for usage in usages) for name in NAMES}


def expected(answered: list[Call]) -> dict[str, int]:
    """What the answers reported. Those without their input are estimated: a few of Gemini's, and Anthropic's older
    streams, which name it in the first event only, where langchain-anthropic does not look.
    """
    total = recordings.usage_total(call for call in answered if not lacks_input(call))
    return {name: getattr(total, name) for name in NAMES}


def lacks_input(call: Call) -> bool:
    if not recordings.usage_total([call]).input_tokens:
        return True
    deltas = [event["usage"] for event in recordings.events(call) if event.get("type") == "message_delta"]
    return bool(deltas) and not any(usage.get("input_tokens") for usage in deltas)


def modes(endpoint: str) -> list[tuple[str, bool, bool]]:
    """Name, streamed, asynchronous: all four ways for recordings of several calls, two for the others."""
    chosen = []
    for name in recorded(endpoint):
        assert FOLDER is not None
        several = len(usable(FOLDER / name, endpoint)) > 1
        ways = [(False, False), (True, True), (True, False), (False, True)]
        chosen += [(name, *way) for way in (ways if several else ways[:2])]
    return chosen


@pytest.mark.parametrize(("name", "streaming", "asynchronous"), modes(CHAT))
def test_recorded_chat_completions(
    server: ModelServer, captured: Capture, traced: dict[str, Any], name: str, streaming: bool, asynchronous: bool
) -> None:
    replay = Replay(server, name, CHAT, streaming=streaming)
    replay.run(traced, asynchronous=asynchronous)

    check(replay, captured)


@pytest.mark.parametrize(("name", "streaming", "asynchronous"), modes(RESPONSES))
def test_recorded_responses(
    server: ModelServer, captured: Capture, traced: dict[str, Any], name: str, streaming: bool, asynchronous: bool
) -> None:
    replay = Replay(server, name, RESPONSES, streaming=streaming)
    replay.run(traced, asynchronous=asynchronous)

    check(replay, captured)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", recorded(ANTHROPIC))
def test_recorded_anthropic_messages(
    server: ModelServer, captured: Capture, traced: dict[str, Any], name: str, asynchronous: bool
) -> None:
    pytest.importorskip("langchain_anthropic")
    assert FOLDER is not None
    streaming = usable(FOLDER / name, ANTHROPIC)[0].is_stream
    replay = Replay(server, name, ANTHROPIC, streaming=streaming)
    replay.run(traced, asynchronous=asynchronous)

    check(replay, captured)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("name", "endpoint"), [(name, endpoint) for endpoint in (GOOGLE, GOOGLE_STREAM) for name in recorded(endpoint)]
)
def test_recorded_gemini_answers(
    server: ModelServer, captured: Capture, traced: dict[str, Any], name: str, endpoint: str, asynchronous: bool
) -> None:
    pytest.importorskip("langchain_google_genai")
    replay = Replay(server, name, endpoint)
    replay.run(traced, asynchronous=asynchronous)

    check(replay, captured)
