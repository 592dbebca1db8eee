"""OpenAI's SDK for the whole process."""

from __future__ import annotations

from typing import Any

from .clients import instrument, uninstrument

__all__ = ["instrument", "probe", "uninstrument"]


def probe(base_url: str) -> None:
    """Have the scripted server at `base_url` answer one question, with a tool call on the way."""
    from openai import OpenAI

    messages: list[Any] = [{"role": "user", "content": "How old is the oak?"}]
    tool: Any = {"type": "function", "function": {"name": "ring_count", "parameters": {"type": "object"}}}
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        for _ in range(3):
            answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[tool])
            message = answer.choices[0].message
            if not message.tool_calls:
                return
            messages.append(message)
            messages.extend(
                {"role": "tool", "tool_call_id": call.id, "content": "oak: 112"} for call in message.tool_calls
            )
