"""Which clients are recorded: all of the process, or single ones. Every request of the SDK goes through one method."""

from __future__ import annotations

from typing import Any, TypeVar

import anthropic
from treerings.attempts import attempts_noted
from treerings.wrapped_clients import WrappedClients, owner_of
from treerings.wrapping import (
    Patches,
    recorded,
    recorded_async,
    recorded_async_generator,
    recorded_generator,
)

from .calls import SOURCE, SdkCall, start
from .tool_runner import RunnerCall, ToolCall, start_loop, start_tool

__all__ = ["instrument", "uninstrument", "unwrap", "wrap"]

Client = TypeVar("Client")

_CLIENTS = (
    "Anthropic",
    "AnthropicAWS",
    "AnthropicBedrock",
    "AnthropicFoundry",
    "AnthropicGoogleCloud",
    "AnthropicVertex",
)


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
    for client, around in ((anthropic.Anthropic, recorded(_begin)), (anthropic.AsyncAnthropic, recorded_async(_begin))):
        patches.wrap(owner_of(client, "request"), "request", around)
        patches.wrap(owner_of(client, "_process_response"), "_process_response", attempts_noted(SOURCE))
    for name in (*_CLIENTS, *(f"Async{name}" for name in _CLIENTS)):
        found = getattr(anthropic, name, None)
        if isinstance(found, type):
            for method in ("copy", "with_options"):
                if method in vars(found):
                    patches.wrap(found, method, _clients.copied)
    _patch_runners(patches)


def _patch_runners(patches: Patches) -> None:
    """The loop of a tool runner and what runs its tools have no public place of their own."""
    try:
        from anthropic.lib.tools import BetaAsyncToolRunner, BetaToolRunner
    except ImportError:  # before there were any
        return
    patches.wrap(owner_of(BetaToolRunner, "__run__"), "__run__", recorded_generator(_begin_loop))
    patches.wrap(owner_of(BetaAsyncToolRunner, "__run__"), "__run__", recorded_async_generator(_begin_loop))
    for name in ("_run_tool", "_run_toolset_member"):
        patches.wrap(owner_of(BetaToolRunner, name), name, recorded(_begin_tool))
        patches.wrap(owner_of(BetaAsyncToolRunner, name), name, recorded_async(_begin_tool))


def _begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SdkCall | None:
    client = args[0]
    if client not in _clients:
        return None
    return start(client, kwargs["options"] if "options" in kwargs else args[2])


def _begin_tool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall | None:
    return start_tool(args[0], args[-1]) if _is_ours(args[0]) else None


def _begin_loop(args: tuple[Any, ...], kwargs: dict[str, Any]) -> RunnerCall | None:
    return start_loop(args[0]) if _is_ours(args[0]) else None


def _is_ours(runner: Any) -> bool:
    try:
        return runner._client in _clients
    except Exception:  # made another way in this version
        return True


_clients = WrappedClients(_patch)
