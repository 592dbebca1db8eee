"""For tests of agents and of plugins: a scripted model server, captured trees, fixed ids and clock, a suite for stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import recordings
    from .capturing import Capture, capture
    from .deterministic import DeterministicClock
    from .model_request import ModelRequest
    from .model_script import Answer, Drop, Failure, ModelServerError, Route, ToolCall
    from .model_server import ModelServer
    from .model_usage import UsageOverrides, UsageTotal
    from .outlines import outline
    from .store_tests import StoreTests

__all__ = [
    "Answer",
    "Capture",
    "DeterministicClock",
    "Drop",
    "Failure",
    "ModelRequest",
    "ModelServer",
    "ModelServerError",
    "Route",
    "StoreTests",
    "ToolCall",
    "UsageOverrides",
    "UsageTotal",
    "capture",
    "outline",
    "recordings",
]

_PLACES = {
    "Answer": "model_script",
    "Capture": "capturing",
    "DeterministicClock": "deterministic",
    "Drop": "model_script",
    "Failure": "model_script",
    "ModelRequest": "model_request",
    "ModelServer": "model_server",
    "ModelServerError": "model_script",
    "Route": "model_script",
    "StoreTests": "store_tests",
    "ToolCall": "model_script",
    "UsageOverrides": "model_usage",
    "UsageTotal": "model_usage",
    "capture": "capturing",
    "outline": "outlines",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for and nothing else: pytest loads this package in every session."""
    from importlib import import_module

    if name == "recordings":
        return import_module(f"{__name__}.recordings")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
