"""What a model server received: the request itself and one view of its conversation, whatever the provider's format."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ModelRequest", "Turn", "endpoint_of", "text_of"]

_ENDPOINTS = (
    "chat/completions",
    "responses",
    "completions",
    "embeddings",
    "moderations",
    "models",
    "messages",
    "messages/count_tokens",
    "audio/transcriptions",
    "audio/translations",
    "audio/speech",
    "images/generations",
    "images/edits",
)
_GOOGLE = re.compile(r"/models/[^/:]+:(?P<verb>\w+)$")
_BEDROCK = re.compile(r"/model/.+/(?P<verb>invoke|converse|invoke-with-response-stream|converse-stream)$")
_MODEL_IN_PATH = re.compile(r"/(?:deployments|models?)/(?P<model>[^/:]+)")


def endpoint_of(url: str) -> str:
    """The name of what a URL asks for, the same whatever host, version or deployment stands before it.

    `chat/completions`, `responses`, `completions`, `embeddings`, `messages`, `generateContent`, `converse` ...; for
    a path of no known provider the path itself, without slashes at its ends.
    """
    path = urlsplit(url).path
    for pattern in (_GOOGLE, _BEDROCK):
        if found := pattern.search(path):
            return found["verb"]
    path = path.strip("/")
    if path.startswith("api/") or "/threads/" in path:
        return path  # Ollama's own interface, and OpenAI's assistants: other formats under like names
    for endpoint in _ENDPOINTS:
        if path == endpoint or path.endswith("/" + endpoint):
            return "prompts" if endpoint == "completions" and "prompts/" in path else endpoint
    return path


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation: `role` is `system`, `user`, `assistant` or `tool`."""

    role: str
    text: str


@dataclass(frozen=True)
class ModelRequest:
    """One request to a `ModelServer`."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header names in lower case; without the ones that carry a key."""
    body: Any = None
    """The request's JSON, or None when there was none; of a form its fields, files as their names, types and sizes."""
    query: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, Any] | None = None
    """The earlier part of a conversation that the server holds for the client; `body` is only what was sent."""

    @property
    def endpoint(self) -> str:
        """`chat/completions`, `responses`, `embeddings` ..., without host, version and deployment."""
        return endpoint_of(self.path)

    @property
    def data(self) -> dict[str, Any]:
        """The body when it is a JSON object, else an empty one; it begins with what the server holds."""
        sent = self.body if isinstance(self.body, dict) else {}
        if self.held is None:
            return sent
        return {**self.held, **sent, "messages": [*self.held["messages"], *sent.get("messages", ())]}

    @property
    def model(self) -> str:
        """The model asked for, in the body or in the path; empty when neither names one."""
        named = self.data.get("model")
        if isinstance(named, str):
            return named
        found = _MODEL_IN_PATH.search(self.path)
        return unquote(found["model"]) if found else ""

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return self.data.get("stream") in (True, "true") or "stream" in self.endpoint

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation in order, system prompt first; reads the formats of OpenAI, Anthropic and Google."""
        return tuple(_turns(self.data))

    @property
    def text(self) -> str:
        """The whole conversation as text, a line or more for each turn."""
        return "\n".join(turn.text for turn in self.turns)

    @property
    def last_text(self) -> str:
        """The text of the last turn that the user wrote; empty without one."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def tool_result(self) -> str | None:
        """The results that the conversation ends with, a line for each tool; None when it ends otherwise."""
        results: list[str] = []
        for turn in reversed(self.turns):
            if turn.role != "tool":
                break
            results.append(turn.text)
        return "\n".join(reversed(results)) if results else None

    @property
    def tools(self) -> list[str]:
        """The names of the tools offered."""
        return [name for tool in _objects(self.data.get("tools")) for name in _tool_names(tool)]

    @staticmethod
    def from_http(method: str, target: str, headers: Mapping[str, str], body: Any) -> ModelRequest:
        """The request behind these parts; headers that carry a key are left out."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items() if name != "key"}
        kept = {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
        return ModelRequest(method, parts.path, kept, body, query)


_SECRET_HEADERS = frozenset(
    {"authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization"}
)
_ROLES = {"developer": "system", "function": "tool", "model": "assistant", "CHATBOT": "assistant"}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _tool_names(tool: dict[str, Any]) -> Iterator[str]:
    declarations = tool.get("functionDeclarations", tool.get("function_declarations"))
    declared = list(_objects(declarations)) or [tool.get("function", tool)]
    yield from (item["name"] for item in declared if isinstance(item, dict) and isinstance(item.get("name"), str))


def _turns(body: dict[str, Any]) -> Iterator[Turn]:
    for key in ("instructions", "system", "systemInstruction", "system_instruction"):
        if text := text_of(body.get(key)):
            yield Turn("system", text)
    for key in ("messages", "input", "contents", "prompt", "chat_history", "message"):
        value = body.get(key)
        if isinstance(value, str):
            yield Turn("user", value)
        elif isinstance(value, list):
            for item in value:
                yield from _turns_of_item(item)


def _turns_of_item(item: Any) -> Iterator[Turn]:
    if not isinstance(item, dict):
        yield Turn("user", text_of(item))
        return
    if item.get("type") == "function_call_output":
        yield Turn("tool", text_of(item.get("output")))
        return
    role = str(item.get("role", "assistant" if item.get("type") in {"function_call", "reasoning"} else "user"))
    role = _ROLES.get(role, role)
    parts: Any = item.get("content", item.get("parts", item.get("message")))
    results = [part for part in _objects(parts) if part.get("type") == "tool_result" or "functionResponse" in part]
    if results:
        yield from (Turn("tool", text_of(part.get("content", _response(part)))) for part in results)
        parts = [part for part in parts if part not in results]
        if not parts:
            return
    calls = "".join(f"\n{name} {arguments}" for name, arguments in _calls(item, parts))
    if isinstance(parts, list):
        parts = [part for part in parts if not (isinstance(part, dict) and _is_told_elsewhere(part))]
    yield Turn(role, (text_of(parts) + calls).strip("\n"))


def _response(part: dict[str, Any]) -> Any:
    """A function's result, out of the object that Google's SDKs put around what is none."""
    response = (part.get("functionResponse") or {}).get("response")
    if isinstance(response, dict) and len(response) == 1 and set(response) <= {"result", "output", "error"}:
        return next(iter(response.values()))
    return response


def _is_told_elsewhere(part: dict[str, Any]) -> bool:
    """Whether a part is a tool call, or thoughts of the model that are given back to it."""
    return part.get("type") in {"tool_use", "thinking", "redacted_thinking"} or bool(
        "functionCall" in part or part.get("thought")
    )


def _calls(item: dict[str, Any], parts: Any) -> Iterator[tuple[str, str]]:
    """The tool calls in a message of the assistant."""
    if item.get("type") == "function_call":
        yield str(item.get("name")), str(item.get("arguments"))
    for call in _objects(item.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            yield str(function.get("name")), str(function.get("arguments"))
    for part in _objects(parts):
        if part.get("type") == "tool_use":
            yield str(part.get("name")), json.dumps(part.get("input"), ensure_ascii=False)
        elif isinstance(function := part.get("functionCall"), dict):
            yield str(function.get("name")), json.dumps(function.get("args"), ensure_ascii=False)


def text_of(value: Any) -> str:
    """The text in a message's content: a string, a list of parts, or any JSON value for what is neither."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, (text_of(part) for part in value)))
    if isinstance(value, dict):
        for key in ("text", "parts", "content"):
            if key in value:
                return text_of(value[key])
        if value.get("type") in {"image_url", "input_image", "input_file", "file", "input_audio", "image", "document"}:
            return ""
        if "inlineData" in value or "fileData" in value:
            return ""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
