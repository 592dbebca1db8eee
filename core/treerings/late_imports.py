"""Told of an import: calls a function when the program imports a package, without importing it ourselves."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["forget", "is_imported", "when_imported"]

logger = logging.getLogger("treerings")

Call = Callable[[], None]

_waiting: dict[str, list[Call]] = {}
_lock = threading.Lock()
"""Held for looks at the table only, never while somebody's code runs: imports have locks of their own."""
_asking = threading.local()


def when_imported(package: str, call: Call) -> None:
    """Call `call()` once `package` (`"crewai"`, `"google.genai"`) is imported: now if it is, else right after its import.

    It runs once, on the thread that imports, when the package's own code is through. What it raises is logged and does
    not reach the import. An import that fails keeps it waiting for the next try.
    """
    with _lock:
        late = package not in sys.modules
        if late:
            calls = _waiting.setdefault(package, [])
            if call not in calls:
                calls.append(call)
            if _finder not in sys.meta_path:
                sys.meta_path.insert(0, _finder)
    if not late:
        if is_imported(package) and not is_imported(package, whole=True):
            importlib.import_module(package)  # another thread is at it: wait for its end
        _safely(call, package)


def forget(call: Call) -> None:
    """Let go of what waits to call this; the import machinery is as before when nothing waits any more."""
    with _lock:
        for package, calls in list(_waiting.items()):
            if call in calls:
                calls.remove(call)
            if not calls:
                del _waiting[package]
        _leave_when_empty()


def is_imported(package: str, *, whole: bool = False) -> bool:
    """Whether this package is imported; `whole` leaves out those whose own code still runs."""
    module = sys.modules.get(package)
    return module is not None and not (whole and getattr(getattr(module, "__spec__", None), "_initializing", False))


def _leave_when_empty() -> None:
    if not _waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def _imported(package: str) -> None:
    with _lock:
        calls = _waiting.pop(package, ())
        _leave_when_empty()
    for call in calls:
        _safely(call, package)


def _safely(call: Call, package: str) -> None:
    try:
        call()
    except Exception as error:  # somebody else's import must not fail because of us
        logger.error("What waited for the import of %s failed: %s: %s", package, type(error).__name__, error)
        logger.debug("What waited for the import of %s failed", package, exc_info=error)


class _Finder:
    """First among the import machinery's finders: lets the others find a package, and watches it being loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _waiting or name in (asking := _names_asked_for()):
            return None
        asking.add(name)  # another such finder may ask the whole machinery, us included
        try:
            spec = _found_by_others(name, path, target)
        finally:
            asking.discard(name)
        loader: Any = None if spec is None else spec.loader
        if spec is not None and hasattr(loader, "exec_module") and type(loader) is not _Loader:
            watched: Any = _Loader(loader)
            spec.loader = watched
        return spec


_finder = _Finder()


def _names_asked_for() -> set[str]:
    names: set[str] | None = getattr(_asking, "names", None)
    if names is None:
        names = _asking.names = set()
    return names


def _found_by_others(name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    finders = list(sys.meta_path)
    here = finders.index(_finder) if _finder in finders else -1
    for finder in finders[here + 1 :]:
        find_spec = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = None if find_spec is None else find_spec(name, path, target)
        if spec is not None:
            return spec
    return None


class _Loader:
    """A loader that looks like the one behind it and gives its place back to it before the package's code runs."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    @property  # type: ignore[misc]  # nobody sets it
    def __class__(self) -> type:  # for isinstance: whoever only looks for a package sees the kind of its true loader
        return type(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._loader, "create_module", None)
        module: ModuleType | None = None if create is None else create(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        loader = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = loader
        module.__loader__ = loader
        loader.exec_module(module)
        _imported(module.__spec__.name if module.__spec__ is not None else module.__name__)


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
