"""Anthropic's SDK for the whole process."""

from __future__ import annotations

from typing import Any

from .clients import instrument, uninstrument

__all__ = ["instrument", "probe", "uninstrument"]


def probe(base_url: str) -> None:
    """Ask once, on a server of its own: the one at `base_url` does not speak Anthropic's language."""
    from anthropic import Anthropic
    from treerings.testing import ModelServer

    answer = {
        "id": "msg_probe",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": "112 rings."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 5},
    }
    question: Any = {"role": "user", "content": "How old is the oak?"}
    with ModelServer() as server:
        server.play([{"url": f"{server.base_url}/messages", "status": 200, "request": {}, "response": answer}])
        with Anthropic(base_url=server.url, api_key="unused", max_retries=0) as client:
            client.messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=[question])
