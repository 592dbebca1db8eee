"""What Claude answered: a whole message, or one put together from a stream's events, as plain data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from treerings import Usage
from treerings.usage_formats.reading import mapping, member

__all__ = ["Answer"]

MAX_CHARS = 262_144
"""Characters of one streamed answer that are kept."""
MAX_BLOCKS = 1_000
MAX_REPORTS = 20

_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class Answer:
    """One answer while it arrives. Everything kept is copied and bounded; usage is what the provider said last."""

    __slots__ = ("_blocks", "_chars", "_copy", "_grown", "_reports", "finish_reason", "id", "model", "whole")

    def __init__(self, copy: Callable[[Any], Any]) -> None:
        self._copy = copy
        self._blocks: dict[int, dict[str, Any]] = {}
        self._grown: dict[int, tuple[str, list[str]]] = {}
        self._chars = MAX_CHARS
        self._reports: list[Any] = []
        self.id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.whole = False
        """Whether all of it is there, its usage included."""

    def take_message(self, message: Any) -> None:
        """A whole message."""
        self._begin(message)
        content = member(message, "content")
        if isinstance(content, list):
            for index, block in enumerate(content[:MAX_BLOCKS]):
                self._blocks[index] = self._copied(block)
        elif isinstance(text := member(message, "completion"), str):  # the text completions of before the messages
            self._blocks[0] = {"type": "text", "text": text}
        self._stopped(message)
        self.whole = True

    def take_event(self, event: Any) -> bool:
        """An event of a stream; gives whether it carried output."""
        kind = member(event, "type")
        if kind == "content_block_delta":
            return self._grow(member(event, "index"), member(event, "delta"))
        if kind == "content_block_start":
            index = member(event, "index")
            if len(self._blocks) < MAX_BLOCKS and isinstance(index, int):
                self._blocks[index] = self._copied(member(event, "content_block"))
        elif kind == "message_start":
            self._begin(member(event, "message"))
        elif kind == "message_delta":
            self._report(event)
            self._stopped(member(event, "delta"))
            self.whole = True
        elif kind == "completion":
            self.model = member(event, "model") or self.model
            self._stopped(event)
            self.whole = self.whole or self.finish_reason is not None
            return self._grow(0, {"type": "text_delta", "text": member(event, "completion")})
        return False

    def usage(self) -> Usage:
        """Of an answer that was cut, the output is unknown: a stream begins with a count of one or a few tokens."""
        usage = Usage.from_stream(self._reports)
        if not self.whole:
            usage.output_tokens = None
        return usage

    def output(self) -> dict[str, Any] | None:
        """The message: role, content, and what it has of reasoning and tool calls; None before the first of it."""
        if not self._blocks:
            return None
        texts: list[str] = []
        others: list[Any] = []
        thoughts: list[str] = []
        calls: list[Any] = []
        for index in sorted(self._blocks):
            block = self._block(index)
            kind = block.get("type")
            if kind == "text":
                texts.append(block.get("text") or "")
            elif kind == "thinking":
                thoughts.append(block.get("thinking") or "")
            elif kind == "tool_use":
                calls.append({"id": block.get("id"), "name": block.get("name"), "args": block.get("input")})
            if kind not in ("thinking", "tool_use"):
                others.append(block)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(texts) if len(others) == len(texts) else others,
        }
        if thoughts:
            message["reasoning"] = "".join(thoughts)
        if calls:
            message["tool_calls"] = calls
        return message

    def tool_call_ids(self) -> list[str]:
        """The ids of the tools that it asked for."""
        return [
            str(block["id"]) for block in self._blocks.values() if block.get("type") == "tool_use" and "id" in block
        ]

    def _begin(self, message: Any) -> None:
        self.id = member(message, "id") or self.id
        self.model = member(message, "model") or self.model
        self._report(message)

    def _stopped(self, holder: Any) -> None:
        self.finish_reason = member(holder, "stop_reason") or self.finish_reason

    def _report(self, holder: Any) -> None:
        usage = member(holder, "usage")
        if usage is not None:
            self._reports.append({"usage": dict(mapping(usage))})
            if len(self._reports) > MAX_REPORTS:
                del self._reports[1]  # they are cumulative: the first has the input, the last the rest

    def _copied(self, block: Any) -> dict[str, Any]:
        return self._copy({key: item for key, item in mapping(block).items() if item is not None})  # type: ignore[no-any-return]  # of a dict it is one

    def _grow(self, index: Any, delta: Any) -> bool:
        name = _TEXTS.get(member(delta, "type"))
        text = None if name is None else member(delta, name)
        if name is None or not isinstance(text, str) or not isinstance(index, int):
            return False
        block = self._blocks.get(index)
        if block is None:
            if len(self._blocks) >= MAX_BLOCKS:
                return bool(text)
            block = self._blocks[index] = {"type": "thinking" if name == "thinking" else "text"}
        kept = text[: self._chars]
        self._chars -= len(kept)
        self._grown.setdefault(index, (name, []))[1].append(kept)
        return bool(text)

    def _block(self, index: int) -> dict[str, Any]:
        """A block with what it grew by: the arguments of a tool arrive as pieces of JSON."""
        block = self._blocks[index]
        name, parts = self._grown.get(index, ("", []))
        if not parts:
            return block
        grown = (block.get(name) or "") + "".join(parts)
        if name != "partial_json":
            return {**block, name: grown}
        try:
            return {**block, "input": json.loads(grown)}
        except ValueError:  # the stream was left before its end
            return {**block, "input": grown}
