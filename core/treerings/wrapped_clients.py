"""Which clients of an SDK are recorded: all of the process, or single ones; see `treerings.wrapping` for the how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

from .wrapping import Patches

__all__ = ["WrappedClients", "owner_of"]

T = TypeVar("T")


class WrappedClients:
    """What an SDK's `instrument`, `uninstrument`, `wrap` and `unwrap` have in common.

    `patch` replaces the methods; it is called again and again, the same method is wrapped once. What runs instead of them
    asks whether its client is meant: `client in clients`.
    """

    def __init__(self, patch: Callable[[Patches], None]) -> None:
        self._patch = patch
        self._patches = Patches()
        self._everywhere = False
        self._single: WeakSet[Any] = WeakSet()

    def __contains__(self, client: Any) -> bool:
        return self._everywhere or client in self._single

    def instrument(self) -> None:
        """Record all clients, those that exist already included."""
        self._everywhere = True
        self._patch(self._patches)

    def uninstrument(self) -> None:
        """Record nothing more but what the clients do that were given to `wrap`."""
        self._everywhere = False
        self._give_back()

    def wrap(self, client: T) -> T:
        """Record what this client does; gives the client itself."""
        self._single.add(client)
        self._patch(self._patches)
        return client

    def unwrap(self, client: T) -> T:
        """Undo `wrap` for this client; gives it back."""
        self._single.discard(client)
        self._give_back()
        return client

    def copied(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs instead of the method that copies a client: the copy of a wrapped one is wrapped."""
        copy = function(*args, **kwargs)
        if args and args[0] in self._single:
            self._single.add(copy)
        return copy

    def _give_back(self) -> None:
        if not self._everywhere and not self._single:
            self._patches.undo()


def owner_of(cls: type, name: str) -> type:
    """The base class that has the method, so that others who replace it there and we see each other."""
    return next((base for base in cls.__mro__ if name in vars(base)), cls)
