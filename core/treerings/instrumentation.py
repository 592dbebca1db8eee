"""Switching frameworks' capture on and off for the whole process."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from . import runtime
from .errors import TreeringsError

__all__ = ["Instrumented", "instrument", "uninstrument"]

logger = logging.getLogger("treerings")

_on: set[str] = set()


@dataclass(frozen=True, slots=True)
class Instrumented:
    """What `instrument` did."""

    enabled: tuple[str, ...] = ()
    """The integrations that capture now, those that already did included."""
    skipped: dict[str, str] = field(default_factory=dict)
    """The others, each with the reason."""


def instrument(*names: str) -> Instrumented:
    """Capture every run of these frameworks in this process; without names, of all that are installed.

    Asked for by name, a missing framework raises `MissingPackage` that says what to install, an unknown name
    `UnknownName`. Without names, what cannot be enabled is in `skipped`. A second call does nothing more.
    """
    registry = runtime.registry()
    registry.load()
    enabled: list[str] = []
    skipped: dict[str, str] = {}
    for integration in [registry.integration(name) for name in names] or list(registry.integrations.values()):
        if not names and not integration.installed:
            skipped[integration.name] = f"{integration.package} is not installed. Type: {integration.install_hint}"
            continue
        try:
            integration.load().instrument()
        except TreeringsError as error:
            if names:
                raise
            skipped[integration.name] = str(error)
        except Exception as error:  # a framework's version that we do not know
            if names:
                raise
            logger.error("The integration %r cannot be enabled", integration.name, exc_info=error)
            skipped[integration.name] = f"{type(error).__name__}: {error}"
        else:
            _on.add(integration.name)
            enabled.append(integration.name)
    if enabled:
        runtime.current_recorder()
    return Instrumented(tuple(enabled), skipped)


def uninstrument(*names: str) -> None:
    """Undo `instrument`, for these frameworks or for all."""
    for name in names or tuple(_on):
        if name in _on:
            runtime.registry().integration(name).load().uninstrument()
            _on.discard(name)
        elif names:
            runtime.registry().integration(name)
