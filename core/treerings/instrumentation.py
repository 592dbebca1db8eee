"""Switching frameworks' capture on and off for the whole process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import late_imports, runtime
from .errors import TreeringsError

if TYPE_CHECKING:
    from .registry import Integration

__all__ = ["Instrumented", "instrument", "uninstrument", "waiting"]

logger = logging.getLogger("treerings")

_on: set[str] = set()
_waits: dict[str, Callable[[], None]] = {}
"""By name, what is called when the framework is imported."""


@dataclass(frozen=True, slots=True)
class Instrumented:
    """What `instrument` did; `print` shows it a line each."""

    enabled: tuple[str, ...] = ()
    """The integrations that capture from now on, those that already did and those in `waiting` included."""
    skipped: dict[str, str] = field(default_factory=dict)
    """The others, each with the reason."""
    waiting: tuple[str, ...] = ()
    """Those of `enabled` whose framework is not imported yet: they begin when the program imports it."""

    def __str__(self) -> str:
        now = [name for name in self.enabled if name not in self.waiting]
        lines = [f"capturing {', '.join(now)}"] if now else []
        if self.waiting:
            lines.append(f"as soon as imported: {', '.join(self.waiting)}")
        lines += [f"not {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines) or "nothing that can be captured is installed"


def instrument(*names: str) -> Instrumented:
    """Capture every run of these frameworks in this process; without names, of all that are installed.

    Without names, no framework is imported: those that the program has imported are captured at once, the others from
    their import on; what cannot be enabled is in `skipped`. Asked for by name, a framework is imported, a missing one
    raises `MissingPackage` that says what to install, an unknown name `UnknownName`. A second call does nothing more.
    """
    registry = runtime.registry()
    registry.load()
    enabled: list[str] = []
    skipped: dict[str, str] = {}
    for integration in [registry.integration(name) for name in names] or list(registry.integrations.values()):
        name = integration.name
        if not names and not integration.installed:
            skipped[name] = f"{integration.package} is not installed. Type: {integration.install_hint}"
            continue
        try:
            if names or late_imports.is_imported(integration.package):
                _enable(integration)
            elif name not in _on:
                _wait_for(integration)
        except TreeringsError as error:
            if names:
                raise
            skipped[name] = str(error)
        except Exception as error:  # a framework's version that we do not know
            if names:
                raise
            logger.error("The integration %r cannot be enabled", name, exc_info=error)
            skipped[name] = f"{type(error).__name__}: {error}"
        else:
            enabled.append(name)
    if enabled:
        runtime.current_recorder()
    return Instrumented(tuple(enabled), skipped, tuple(name for name in enabled if name in _waits))


def uninstrument(*names: str) -> None:
    """Undo `instrument`, for these frameworks or for all; what one of them raises is logged, and the others are undone."""
    for name in names:
        runtime.registry().integration(name)
    for name in names or (*_waits, *_on):
        _stop_waiting(name)
        if name not in _on:
            continue
        _on.discard(name)
        try:
            runtime.registry().integration(name).load().uninstrument()
        except Exception as error:  # a framework's code: the others must be undone all the same
            logger.error("The integration %r cannot be undone", name, exc_info=error)


def waiting() -> tuple[str, ...]:
    """The integrations that wait for their framework's import, by name."""
    return tuple(sorted(_waits))


def _enable(integration: Integration) -> None:
    _stop_waiting(integration.name)
    integration.load().instrument()
    _on.add(integration.name)


def _wait_for(integration: Integration) -> None:
    """Enable it when the framework is imported.

    The integration's own package may be what imports it, and is only half there then: so it is waited for as well.
    """
    name = integration.name
    own = integration.module.partition(".")[0]
    if name in _waits:
        return

    def imported() -> None:
        if not late_imports.is_imported(integration.package) or _is_half_imported(own):
            return
        if _waits.pop(name, None) is None:
            return
        late_imports.forget(imported)
        try:
            integration.load().instrument()
        except TreeringsError as error:
            logger.error("The integration %r cannot be enabled: %s", name, error)
        except Exception as error:  # a framework's version that we do not know
            logger.error("The integration %r cannot be enabled", name, exc_info=error)
        else:
            _on.add(name)

    _waits[name] = imported
    late_imports.when_imported(integration.package, imported)
    if not late_imports.is_imported(own):
        late_imports.when_imported(own, imported)


def _is_half_imported(package: str) -> bool:
    return late_imports.is_imported(package) and not late_imports.is_imported(package, whole=True)


def _stop_waiting(name: str) -> None:
    imported = _waits.pop(name, None)
    if imported is not None:
        late_imports.forget(imported)
