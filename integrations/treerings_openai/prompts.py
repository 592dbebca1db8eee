"""What a request says: the prompt, its parameters, the files that go with it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from typing import Any

from treerings.snapshot import snapshot

__all__ = ["attributes_of", "call_type_of", "items", "messages", "request_of", "text"]

_PARAMETERS = frozenset(
    [
        *("background", "dimensions", "encoding_format", "frequency_penalty", "include", "language", "logprobs"),
        *(
            "max_completion_tokens",
            "max_output_tokens",
            "max_tokens",
            "max_tool_calls",
            "modalities",
            "n",
            "output_format",
        ),
        *(
            "parallel_tool_calls",
            "presence_penalty",
            "previous_response_id",
            "quality",
            "reasoning",
            "reasoning_effort",
        ),
        *(
            "response_format",
            "seed",
            "service_tier",
            "size",
            "speed",
            "stop",
            "store",
            "stream",
            "stream_options",
            "style",
        ),
        *("temperature", "text", "tool_choice", "top_k", "top_logprobs", "top_p", "truncation", "verbosity", "voice"),
    ]
)
"""What is kept of a request's body beside the prompt; the rest may hold anything, credentials of tools included."""
_IMAGE_PARTS = frozenset({"image_url", "input_image"})
_AUDIO_PARTS = frozenset({"input_audio"})


def text(name: str) -> Callable[[dict[str, Any]], Any]:
    """The prompt is one entry of the body."""
    return lambda body: body.get(name)


def messages(body: dict[str, Any]) -> Any:
    """The messages of a chat."""
    return body.get("messages")


def items(body: dict[str, Any]) -> Any:
    """The input of a response as a list of messages, with the instructions as the first."""
    given = body.get("input")
    found = [{"role": "user", "content": given}] if isinstance(given, str) else given
    instructions = body.get("instructions")
    if isinstance(instructions, str) and (found is None or isinstance(found, list)):
        return [{"role": "system", "content": instructions}, *(found or ())]
    return found


def request_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with tools and schemas by their names only."""
    request: dict[str, Any] = {}
    for key in _PARAMETERS.intersection(body):
        value = body[key]
        if value is None:
            continue
        kind = type(value)
        request[key] = value if kind in (int, float, bool) else _shorter(key, value)
    tools = body.get("tools") or body.get("functions")
    if isinstance(tools, list) and tools:
        request["tools"] = [_tool_name(tool) for tool in tools[:100]]
    return request


def _shorter(key: str, value: Any) -> Any:
    """A response format is a whole schema: its type and its name tell it."""
    if isinstance(value, Mapping) and key in ("response_format", "text"):
        inner = value.get("format") if key == "text" else value.get("json_schema")
        named = inner if isinstance(inner, Mapping) else value
        return {name: found for name in ("type", "name") if isinstance(found := named.get(name, value.get(name)), str)}
    return snapshot(value)


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, Mapping):
        return type(tool).__name__
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else None
    return str(name or tool.get("name") or tool.get("type") or "?")


def call_type_of(body: Mapping[str, Any]) -> str | None:
    """`vision` for a conversation that shows the model an image."""
    return "vision" if any(part.get("type") in _IMAGE_PARTS for part in _parts(body)) else None


def attributes_of(body: Mapping[str, Any], files: Any) -> dict[str, Any]:
    """What is known of sound and images that go with the request, without reading anything that can be read once only."""
    sent = list(_files(files))
    attributes: dict[str, Any] = {}
    spoken = [part["input_audio"] for part in _parts(body) if part.get("type") in _AUDIO_PARTS]
    for heard in spoken:
        if isinstance(heard, Mapping) and isinstance(data := heard.get("data"), str):
            about = {"bytes": len(data) * 3 // 4, "format": heard.get("format")}
            attributes["audio"] = {name: value for name, value in about.items() if value is not None}
    if "file" in (field for field, _ in sent):
        attributes["audio"] = next(about for field, about in sent if field == "file")
    images = [about for field, about in sent if field.partition("[")[0] in ("image", "mask")]
    if images:
        attributes["images"] = images[:20]
    return attributes


def _parts(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of all messages whose content is more than a text."""
    given = body.get("messages") or body.get("input")
    found: list[Mapping[str, Any]] = []
    if isinstance(given, list):
        for message in given:
            content = message.get("content") if isinstance(message, Mapping) else None
            if isinstance(content, list):
                found.extend(part for part in content if isinstance(part, Mapping))
    return found


def _files(files: Any) -> list[tuple[str, dict[str, Any]]]:
    pairs = list(files.items()) if isinstance(files, Mapping) else files
    if not isinstance(pairs, list | tuple):
        return []
    found: list[tuple[str, dict[str, Any]]] = []
    for pair in pairs[:100]:
        try:
            field, value = pair
            found.append((str(field), _file(value)))
        except Exception:  # a file of the user's own making
            continue
    return found


def _file(value: Any) -> dict[str, Any]:
    """Name, format and size; of a sound in memory also the seconds, where its header tells them."""
    name, content = (value[0], value[1]) if isinstance(value, tuple) else (None, value)
    name = name or getattr(content, "name", None)
    about: dict[str, Any] = {}
    if isinstance(name, str):
        about["name"] = os.path.basename(name)
        about["format"] = os.path.splitext(name)[1].lstrip(".").lower() or None
    if isinstance(content, bytes | bytearray | memoryview):
        about["bytes"] = len(content)
        about["seconds"] = wave_seconds(bytes(content[:4096]), len(content))
    elif isinstance(content, io.BytesIO):
        about["bytes"] = content.getbuffer().nbytes
        about["seconds"] = wave_seconds(bytes(content.getbuffer()[:4096]), about["bytes"])
    elif hasattr(content, "fileno"):
        about["bytes"] = os.fstat(content.fileno()).st_size
    return {name: found for name, found in about.items() if found is not None}


def wave_seconds(start: bytes, size: int) -> float | None:
    """The length of a WAV sound, from the first bytes of it and its size; None for other formats.

    RIFF: chunks of a name, a length and data; `fmt ` holds the bytes a second at its offset 8.
    http://soundfile.sapp.org/doc/WaveFormat/
    """
    if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
        return None
    position, rate = 12, 0
    while position + 8 <= len(start):
        name = start[position : position + 4]
        length = int.from_bytes(start[position + 4 : position + 8], "little")
        if name == b"fmt ":
            rate = int.from_bytes(start[position + 16 : position + 20], "little")
        elif name == b"data":
            return round(min(length, size - position - 8) / rate, 3) if rate else None
        position += 8 + length + length % 2
    return None
