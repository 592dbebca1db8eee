"""Switching frameworks' capture on and off for the whole process."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import late_imports, runtime
from .errors import TreeringsError
from .registry import described

if TYPE_CHECKING:
    from .registry import Integration

__all__ = ["Instrumented", "instrument", "uninstrument", "waiting"]

logger = logging.getLogger("treerings")

_on: set[str] = set()
_waits: dict[str, _Late] = {}
"""By name, those whose framework is not imported yet."""


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
            _say(name, "enabled", error)
            skipped[name] = described(error)
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
            _say(name, "undone", error)


def waiting() -> tuple[str, ...]:
    """The integrations that wait for their framework's import, by name."""
    return tuple(sorted(_waits))


def _enable(integration: Integration) -> None:
    _stop_waiting(integration.name)
    integration.load().instrument()
    _on.add(integration.name)


def _wait_for(integration: Integration) -> None:
    if integration.name not in _waits:
        _waits[integration.name] = late = _Late(integration)
        late.wait()


class _Late:
    """An integration that is enabled when its framework is imported.

    Its own package may be what imports the framework (`from treerings_langchain import CallbackHandler`), and is only half
    there then: so that one's import is waited for as well.
    """

    def __init__(self, integration: Integration) -> None:
        self._integration = integration
        self._own = integration.module.partition(".")[0]

    def wait(self) -> None:
        late_imports.when_imported(self._integration.package, self._framework_imported)
        if not late_imports.is_imported(self._own):
            late_imports.when_imported(self._own, self._own_imported)

    def forget(self) -> None:
        late_imports.forget(self._framework_imported)
        late_imports.forget(self._own_imported)

    def _framework_imported(self) -> None:
        if late_imports.is_imported(self._own, whole=True) or not late_imports.is_imported(self._own):
            self._enable()

    def _own_imported(self) -> None:
        if late_imports.is_imported(self._integration.package):
            self._enable()

    def _enable(self) -> None:
        name = self._integration.name
        if _waits.pop(name, None) is not self:
            return
        self.forget()
        try:
            self._integration.load().instrument()
        except Exception as error:  # a framework's version that we do not know
            _say(name, "enabled", error)
        else:
            _on.add(name)


def _say(name: str, what: str, error: Exception) -> None:
    text = str(error) if isinstance(error, TreeringsError) else described(error)
    logger.error("The integration %r cannot be %s: %s", name, what, text)
    logger.debug("The integration %r cannot be %s", name, what, exc_info=error)


def _stop_waiting(name: str) -> None:
    late = _waits.pop(name, None)
    if late is not None:
        late.forget()
