"""Agents that run on recorded traffic of real providers: one tree, and in it the tokens that the answers reported."""

from __future__ import annotations

from typing import Any

import pytest
from replaying import FOLDER, Replay, recorded, usable
from treerings.testing import Capture, ModelServer, recordings

pytestmark = pytest.mark.skipif(FOLDER is None, reason="no recordings beside the repository")

CHAT, RESPONSES, ANTHROPIC = "chat/completions", "responses", "messages"
GOOGLE, GOOGLE_STREAM = "generateContent", "streamGenerateContent"


def check(replay: Replay, captured: Capture) -> None:
    """One tree; its reported tokens are those of the answers; each request is one step."""
    [workflow] = captured.workflows
    calls = [step for step in workflow.steps if step.kind == "llm"]
    served = replay.server.usage_served
    assert len(calls) == len(replay.server.requests) >= len(replay.calls)
    assert tokens(calls) == (
        served.input_tokens,
        served.output_tokens,
        served.cache_read_tokens,
        served.cache_write_tokens,
        served.reasoning_tokens,
    )
    assert served == recordings.usage_total(replay.calls)
    assert {step.agent for step in calls} == {"replayed"}
    assert all(step.status != "running" for step in workflow.steps)


def tokens(calls: list[Any]) -> tuple[int, ...]:
    usages = [step.usage for step in calls if step.usage is not None and not step.estimated]
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return tuple(sum(getattr(usage, name) or 0 for usage in usages) for name in names)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", recorded(CHAT))
def test_recorded_chat_completions(
    server: ModelServer, captured: Capture, traced: dict[str, Any], name: str, asynchronous: bool
) -> None:
    replay = Replay(server, name, CHAT)
    replay.run(traced, asynchronous=asynchronous)

    check(replay, captured)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", recorded(CHAT))
def test_recorded_chat_completions_streamed(
    server: ModelServer, captured: Capture, traced: dict[str, Any], name: str, asynchronous: bool
) -> None:
    replay = Replay(server, name, CHAT, streaming=True)
    replay.run(traced, asynchronous=asynchronous)

    check(replay, captured)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", recorded(RESPONSES))
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
