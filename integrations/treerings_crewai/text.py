"""Short names, model and provider names, and errors of which CrewAI tells the text only."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["kind_of_source", "model_name", "provider_of", "reported", "short"]

LONGEST = 80
PROVIDERS = {
    "azure_openai": "azure",
    "aws": "bedrock",
    "claude": "anthropic",
    "gemini": "google",
    "vertex_ai": "google",
}
ROUTES = frozenset({"openai", "azure", "azure_openai", "anthropic", "claude", "gemini", "google", "bedrock", "aws"})


def short(value: Any) -> str:
    """The first line of a name, cut to 80 characters: CrewAI names a task by its whole description."""
    if not isinstance(value, str):
        return "" if value is None else short(str(value))
    line = value.strip().partition("\n")[0].strip()
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def model_name(model: Any) -> str | None:
    """The model without the route that CrewAI and LiteLLM write before it: `openai/gpt-4o` is `gpt-4o`."""
    if not isinstance(model, str):
        return None
    route, slash, rest = model.partition("/")
    return rest if slash and route.lower() in ROUTES else model


def provider_of(source: Any, model: Any) -> str | None:
    """The provider's name; a LiteLLM model is routed by its name, whatever the object says."""
    route, slash, _ = model.partition("/") if isinstance(model, str) else ("", "", "")
    provider = route if slash and getattr(source, "is_litellm", False) else getattr(source, "provider", None)
    if not isinstance(provider, str) or not provider:
        return None
    return PROVIDERS.get(provider.lower(), provider.lower())


def kind_of_source(source: Any, name: str) -> str:
    """An enumeration's value, as text."""
    value = getattr(source, name, None)
    return str(getattr(value, "value", value))


@lru_cache(maxsize=500)
def _class(name: str) -> type[Exception]:
    return type(name, (Exception,), {})


def reported(error: Any, error_type: type[BaseException] | None = None) -> BaseException | None:
    """The error itself where CrewAI hands it on, else one with its text, and its type where that is told."""
    if error is None or isinstance(error, BaseException):
        return error
    return _class(error_type.__qualname__ if error_type is not None else "CrewAIError")(str(error))
