"""Which clients are recorded: all of the process, or single ones. Every request of the SDK goes through one method."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakSet

import openai
from treerings.context import own_step
from treerings.wrapping import Call, Patches, recorded, recorded_async

from .calls import attempted, start

__all__ = ["instrument", "uninstrument", "unwrap", "wrap"]

Client = TypeVar("Client", bound=openai.OpenAI | openai.AsyncOpenAI)

_patches = Patches()
_everywhere = False
_clients: WeakSet[Any] = WeakSet()
"""Those that `wrap` was given, and their copies."""


def instrument() -> None:
    """Record the calls of every client of this process, those that exist already included; a second call does nothing."""
    global _everywhere
    _everywhere = True
    _patch()


def uninstrument() -> None:
    """Record nothing more but what clients do that were given to `wrap`."""
    global _everywhere
    _everywhere = False
    if not _clients:
        _patches.undo()


def wrap(client: Client) -> Client:
    """Record what this client does, and what `client.with_options(...)` does; gives the client itself."""
    _clients.add(client)
    _patch()
    return client


def unwrap(client: Client) -> Client:
    """Undo `wrap` for this client; gives it back."""
    _clients.discard(client)
    if not _clients and not _everywhere:
        _patches.undo()
    return client


def _patch() -> None:
    """Resources and their `with_raw_response` forms bind their methods early; all of them call `request` at the last."""
    client: type
    for client, around in ((openai.OpenAI, recorded(_begin)), (openai.AsyncOpenAI, recorded_async(_begin))):
        _patches.wrap(_owner(client, "request"), "request", around)
        _patches.wrap(_owner(client, "_process_response"), "_process_response", _attempts)
    for client in (openai.OpenAI, openai.AsyncOpenAI, openai.AzureOpenAI, openai.AsyncAzureOpenAI):
        for name in ("copy", "with_options"):
            if name in vars(client):
                _patches.wrap(client, name, _copied)


def _owner(client: type, name: str) -> type:
    """The base class that has the method, so that others who replace it there and we see each other."""
    return next((base for base in client.__mro__ if name in vars(base)), client)


def _begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    client = args[0]
    if not _everywhere and client not in _clients:
        return None
    options = kwargs["options"] if "options" in kwargs else args[2]
    return start(client, options)


def _attempts(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The SDK tells nobody but itself how often it tried before the answer came."""
    retries = kwargs.get("retries_taken")
    if retries:
        step = own_step()
        if step is not None:
            attempted(step, retries)
    return function(*args, **kwargs)


def _copied(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    copy = function(*args, **kwargs)
    if args and args[0] in _clients:
        _clients.add(copy)
    return copy
