"""A model client that records its calls by itself, for programs that switch nothing on for the whole process."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator
from typing import Any, TypeVar, cast

from autogen_core.models import ChatCompletionClient, CreateResult

from .events import listen
from .models import call_watch
from .watching import awaiting, streaming

__all__ = ["traced"]

C = TypeVar("C", bound=ChatCompletionClient)


def traced(model_client: C) -> C:
    """A client whose calls are steps: from their start to their end or error, with the first token of a stream.

    It passes for the client that it was given: attributes, `isinstance`, serialisation (`dump_component`) and pickling are
    those of that client. A traced client is returned as it is.
    """
    if issubclass(type(model_client), _Traced):
        return model_client
    listen()
    return cast("C", _Traced(model_client))


class _Traced:
    """Passes everything on; `isinstance` asks `__class__`, which is passed on like any attribute."""

    _treerings_client: ChatCompletionClient

    def __init__(self, client: ChatCompletionClient) -> None:
        object.__setattr__(self, "_treerings_client", client)

    async def create(self, *args: Any, **kwargs: Any) -> CreateResult:
        return await self._treerings_client.create(*args, **kwargs)

    async def create_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[str | CreateResult, None]:
        async for item in self._treerings_client.create_stream(*args, **kwargs):
            yield item

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_treerings_client"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._treerings_client, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._treerings_client, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return traced, (self._treerings_client,)

    def __repr__(self) -> str:
        return repr(self._treerings_client)


def _watch(client: _Traced, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return call_watch(client._treerings_client, args, kwargs)


_OWN = frozenset({"_treerings_client", "create", "create_stream", "__reduce_ex__"})
for _name, _wrapper in (("create", awaiting(_watch)), ("create_stream", streaming(_watch))):
    _function = getattr(_Traced, _name)
    setattr(_Traced, _name, functools.wraps(_function)(_wrapper(_function)))
