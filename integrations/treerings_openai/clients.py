"""Which clients are recorded: all of the process, or single ones. Every request of the SDK goes through one method."""

from __future__ import annotations

from typing import Any, TypeVar

import openai
from treerings.attempts import attempts_noted
from treerings.wrapped_clients import WrappedClients, owner_of
from treerings.wrapping import Call, Patches, recorded, recorded_async

from .calls import SOURCE, start

__all__ = ["instrument", "uninstrument", "unwrap", "wrap"]

Client = TypeVar("Client", bound=openai.OpenAI | openai.AsyncOpenAI)


def instrument() -> None:
    """Record the calls of every client of this process, those that exist already included; a second call does nothing."""
    _clients.instrument()


def uninstrument() -> None:
    """Record nothing more but what clients do that were given to `wrap`."""
    _clients.uninstrument()


def wrap(client: Client) -> Client:
    """Record what this client does, and what `client.with_options(...)` does; gives the client itself."""
    return _clients.wrap(client)


def unwrap(client: Client) -> Client:
    """Undo `wrap` for this client; gives it back."""
    return _clients.unwrap(client)


def _patch(patches: Patches) -> None:
    """Resources and their `with_raw_response` forms bind their methods early; all of them call `request` at the last."""
    client: type
    for client, around in ((openai.OpenAI, recorded(_begin)), (openai.AsyncOpenAI, recorded_async(_begin))):
        patches.wrap(owner_of(client, "request"), "request", around)
        patches.wrap(owner_of(client, "_process_response"), "_process_response", attempts_noted(SOURCE))
    for client in (openai.OpenAI, openai.AsyncOpenAI, openai.AzureOpenAI, openai.AsyncAzureOpenAI):
        for name in ("copy", "with_options"):
            if name in vars(client):
                patches.wrap(client, name, _clients.copied)


def _begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    client = args[0]
    if client not in _clients:
        return None
    return start(client, kwargs["options"] if "options" in kwargs else args[2])


_clients = WrappedClients(_patch)
