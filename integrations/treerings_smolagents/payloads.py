"""smolagents' messages and usage as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from treerings import Usage

__all__ = ["arguments", "counted", "messages", "provider", "tool_calls"]

PROVIDERS = (
    ("AzureOpenAIModel", "azure"),
    ("OpenAIModel", "openai"),
    ("AmazonBedrockModel", "bedrock"),
    ("InferenceClientModel", "huggingface"),
)


def provider(model: Any) -> str | None:
    """The provider's name, from the class of the model."""
    names = [cls.__name__ for cls in type(model).__mro__]
    for name, found in PROVIDERS:
        if name in names:
            return found
    model_id = getattr(model, "model_id", None)
    if "LiteLLMModel" in names and isinstance(model_id, str) and "/" in model_id:
        return model_id.partition("/")[0]
    return None


def messages(given: Any) -> Any:
    """A prompt, one dictionary a message."""
    return [_message(one) for one in given] if isinstance(given, list) else given


def _message(message: Any) -> Any:
    if isinstance(message, Mapping):
        return dict(message)
    role = getattr(message, "role", "user")
    plain: dict[str, Any] = {
        "role": str(getattr(role, "value", role)),
        "content": _content(getattr(message, "content", None)),
    }
    calls = tool_calls(getattr(message, "tool_calls", None))
    return {**plain, "tool_calls": calls} if calls else plain


def _content(content: Any) -> Any:
    """Text where a message is nothing else; images by their name."""
    if not isinstance(content, list):
        return content
    parts = [
        part.get("text") if part.get("type") == "text" else f"<{part.get('type')}>"
        for part in content
        if isinstance(part, Mapping)
    ]
    return parts[0] if len(parts) == 1 else parts


def tool_calls(given: Iterable[Any] | None) -> list[dict[str, Any]]:
    """The tool calls that a model asks for."""
    return [
        {"id": call.id, "name": call.function.name, "args": arguments(call.function.arguments)} for call in given or ()
    ]


def arguments(given: Any) -> Any:
    """The arguments of a tool call; text as it is where it is no JSON."""
    if not isinstance(given, str) or len(given) > 100_000:
        return given
    try:
        return json.loads(given)
    except ValueError:
        return given


def counted(message: Any, provider: str | None) -> Usage | None:
    """The usage of one model call: as the provider said it, else as smolagents passes it on. Nothing but zeros is unknown."""
    raw = getattr(message, "raw", None)
    if hasattr(raw, "usage") or (isinstance(raw, Mapping) and "usage" in raw):
        usage = Usage.from_provider(raw, provider)
        if usage.total_tokens:
            return usage
    counts = getattr(message, "token_usage", None)
    given, made = getattr(counts, "input_tokens", None), getattr(counts, "output_tokens", None)
    return Usage(input_tokens=given, output_tokens=made) if given or made else None
