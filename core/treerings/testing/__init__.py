"""For tests of agents and of plugins: a scripted model server, captured trees, fixed ids and clock, a suite for stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .capture import Capture, capture
    from .deterministic import DeterministicClock
    from .model_server import ModelServer
    from .outline import outline
    from .store_tests import StoreTests

__all__ = ["Capture", "DeterministicClock", "ModelServer", "StoreTests", "capture", "outline"]

_PLACES = {
    "Capture": "capture",
    "DeterministicClock": "deterministic",
    "ModelServer": "model_server",
    "StoreTests": "store_tests",
    "capture": "capture",
    "outline": "outline",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for and nothing else: pytest loads this package in every session."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
