"""ag2 with Anthropic's own SDK, on recorded answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("anthropic")

from ag2 import Agent
from treerings.testing import Capture, ModelServer
from treerings.testing.recordings import Call

URL = "https://api.anthropic.com/v1/messages"


def answer(*content: dict[str, Any], stop: str) -> Call:
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 100,
        "output_tokens": 7,
    }
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }
    return Call(URL, 200, {}, body)


def test_an_agent_on_anthropic_has_inclusive_counts(server: ModelServer, captured: Capture) -> None:
    from ag2.config import AnthropicConfig

    def rings(tree: str) -> str:
        """Count the rings."""
        return f"{tree}: 112"

    use = {"type": "tool_use", "id": "toolu_1", "name": "rings", "input": {"tree": "oak"}}
    server.play([answer(use, stop="tool_use"), answer({"type": "text", "text": "112 years"}, stop="end_turn")])
    config = AnthropicConfig(model="claude-sonnet-4-6", base_url=server.url, api_key="unused", max_retries=0)

    reply = asyncio.run(Agent("forester", config=config, tools=[rings]).ask("How old?"))

    assert reply.body == "112 years"
    assert captured.outline(show=("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")) == (
        "agent forester\n"
        "  llm claude-sonnet-4-6 input_tokens=140 cache_read_tokens=100 cache_write_tokens=30 output_tokens=7\n"
        "  tool rings\n"
        "  llm claude-sonnet-4-6 input_tokens=140 cache_read_tokens=100 cache_write_tokens=30 output_tokens=7"
    )
    assert captured.step("tool").attributes["tool_call_id"] == "toolu_1"
    assert captured.workflow.steps[1].provider == "anthropic"
