"""Methods of a base class and of all its subclasses, those to come included, replaced and given back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["WrappedMethods"]

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class WrappedMethods:
    """The named methods of `base` and its subclasses, wrapped where a class defines them.

    Abstract methods are left alone, and so are classes that say `treerings_wraps = False`. A wrapper keeps its function's
    name, signature and sort (coroutine function, asynchronous generator). What was wrapped is found again through the
    classes themselves: a program that makes classes without end leaves nothing here.
    """

    def __init__(self, base: type, wrappers: Mapping[str, Wrapper]) -> None:
        self._base = base
        self._wrappers = wrappers
        self._hook: Any = None
        self._before: Any = None

    def wrap(self) -> None:
        """Wrap all; a second call does nothing."""
        if self._hook is not None:
            return
        base: Any = self._base
        before = self._before = base.__dict__.get("__init_subclass__")

        def wrap_new(cls: Any, /, **kwargs: Any) -> None:
            if before is None:
                super(base, cls).__init_subclass__(**kwargs)  # the next in the class's own order, as without us
            else:
                before.__func__(cls, **kwargs)
            self._wrap_class(cls)

        self._hook = classmethod(wrap_new)
        setattr(base, "__init_subclass__", self._hook)  # noqa: B010  # mypy knows no assigned hooks
        for cls in self._classes():
            self._wrap_class(cls)

    def unwrap(self) -> None:
        """Give every class its own methods back."""
        if self._hook is None:
            return
        if self._base.__dict__.get("__init_subclass__") is self._hook:
            if self._before is None:
                del self._base.__init_subclass__
            else:
                setattr(self._base, "__init_subclass__", self._before)  # noqa: B010
        self._hook = None
        for cls in self._classes():
            for name in self._wrappers:
                original = getattr(cls.__dict__.get(name), "treerings_original", None)
                if original is not None:
                    setattr(cls, name, original)

    def _classes(self) -> list[type]:
        found: dict[type, None] = {}
        pending = [self._base]
        while pending:
            cls = pending.pop()
            if cls not in found:
                found[cls] = None
                pending.extend(cls.__subclasses__())
        return list(found)

    def _wrap_class(self, cls: type) -> None:
        if cls.__dict__.get("treerings_wraps") is False:
            return
        for name, wrapper in self._wrappers.items():
            function = cls.__dict__.get(name)
            if not inspect.isfunction(function) or hasattr(function, "treerings_original"):
                continue
            if getattr(function, "__isabstractmethod__", False):
                continue
            made = wrapper(function)
            if made is function:
                continue
            wrapped: Any = functools.wraps(function)(made)
            wrapped.treerings_original = function
            setattr(cls, name, wrapped)
