"""Waiting for the program to import a module, without importing it: a finder that runs a function after its code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["WhenImported"]


class WhenImported(MetaPathFinder):
    """Calls `then(module)` each time `name` has been imported or reloaded, from `begin` to `stop`; at once if it already is.

    The module is found and loaded by whoever would have done it without us; its spec and loader are its own again before
    `then` is called. `then` runs on the importing thread, under the module's import lock, and must not raise.
    """

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self.name = name
        self.then = then

    def begin(self) -> None:
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        module = sys.modules.get(self.name)
        if module is not None:
            if getattr(getattr(module, "__spec__", None), "_initializing", False):
                module = importlib.import_module(self.name)  # another thread is at it: wait for its end
            self.then(module)

    def stop(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        for finder in list(sys.meta_path):
            if finder is self or isinstance(finder, WhenImported):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Telling(spec.loader, self)
                return spec
        return None


class _Telling(Loader):
    """The module's own loader, which says when it has done its work."""

    def __init__(self, loader: Loader, waiting: WhenImported) -> None:
        self._loader = loader
        self._waiting = waiting

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._waiting.then(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
