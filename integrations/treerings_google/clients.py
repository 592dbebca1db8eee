"""Which clients are recorded: all of the process, or single ones. Every request of the SDK goes through four methods."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

from google.genai import _api_client, _extra_utils, chats, models
from treerings import late_imports
from treerings.wrapped_clients import WrappedClients
from treerings.wrapping import Begin, Patches, recorded, recorded_async, recorded_generator

from .calls import SdkCall, start
from .functions import start_agent, start_function
from .interactions import MODULE, InteractionCall, start_interaction

__all__ = ["instrument", "uninstrument", "unwrap", "wrap"]

Client = TypeVar("Client")


def instrument() -> None:
    """Record the calls of every client of this process, those that exist already included; a second call does nothing."""
    _clients.instrument()
    late_imports.when_imported(MODULE, _patch_interactions)


def uninstrument() -> None:
    """Record nothing more but what clients do that were given to `wrap`."""
    late_imports.forget(_patch_interactions)
    _clients.uninstrument()
    _interactions.undo()


def wrap(client: Client) -> Client:
    """Record what this client does, its `aio` included; gives the client itself."""
    _clients.wrap(_api_client_of(client))
    return client


def unwrap(client: Client) -> Client:
    """Undo `wrap` for this client; gives it back."""
    _clients.unwrap(_api_client_of(client))
    return client


def _patch(patches: Patches) -> None:
    """The requests are model calls; what calls functions on its own is an agent, the functions are tools."""
    client = _api_client.BaseApiClient
    patches.wrap(client, "request", recorded(_begin))
    patches.wrap(client, "request_streamed", recorded_generator(_begin))
    patches.wrap(client, "async_request", recorded_async(_begin))
    patches.wrap(client, "async_request_streamed", recorded_async(_begin))
    for owner, whole, name in (
        (models.Models, recorded, "generate_content"),
        (models.AsyncModels, recorded_async, "generate_content"),
        (chats.Chat, recorded, "send_message"),
        (chats.AsyncChat, recorded_async, "send_message"),
    ):
        begin = _begin_agent(name)
        patches.wrap(owner, name, whole(begin))
        patches.wrap(owner, f"{name}_stream", recorded_generator(begin) if whole is recorded else whole(begin))
    patches.wrap(_extra_utils, "invoke_function_from_dict_args", recorded(start_function))
    patches.wrap(_extra_utils, "invoke_function_from_dict_args_async", recorded_async(start_function))


def _patch_interactions() -> None:
    """The interface loads when a program first asks for it. Its classes know no client: all of them are recorded or none."""
    module = sys.modules[MODULE]
    for name, around in (
        ("Interactions", recorded(_begin_interaction)),
        ("AsyncInteractions", recorded_async(_begin_interaction)),
    ):
        if isinstance(owner := getattr(module, name, None), type):
            _interactions.wrap(owner, "create", around)


def _begin_interaction(_: tuple[Any, ...], kwargs: dict[str, Any]) -> InteractionCall | None:
    return start_interaction(kwargs)


def _begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SdkCall | None:
    """For `request(self, http_method, path, request_dict, http_options)` and the like."""
    names = ("self", "http_method", "path", "request_dict")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    client = given["self"]
    if client not in _clients:
        return None
    return start(client, str(given["http_method"]), str(given["path"]), given.get("request_dict"))


def _begin_agent(name: str) -> Begin:
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        owner = args[0]
        if _api_client_of(owner) not in _clients:
            return None
        given = {"message": args[1], **kwargs} if len(args) > 1 else kwargs
        return start_agent(name, owner, given)

    return begin


def _api_client_of(owner: Any) -> Any:
    """What sends the requests of a client, of its `models`, or of a chat."""
    owner = getattr(owner, "_modules", owner)
    return getattr(owner, "_api_client", owner)


_clients = WrappedClients(_patch)
_interactions = Patches()
