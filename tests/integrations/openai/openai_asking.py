"""Asking clients of OpenAI's SDK in the same way, whether they are asynchronous or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import openai

__all__ = ["Answering", "Asking", "Chunks"]


class Asking:
    """A client that is asked in one way: `ask("chat.completions.create", model=..., messages=...)`.

    Streams are read to their end, and given as lists; so both ways give the same.
    """

    def __init__(self, client: openai.OpenAI | openai.AsyncOpenAI) -> None:
        self.client = client
        self._runner = asyncio.Runner() if isinstance(client, openai.AsyncOpenAI) else None

    def __call__(self, path: str, **options: Any) -> Any:
        method: Any = self.client
        for name in path.split("."):
            method = getattr(method, name)
        if self._runner is not None:
            return self._runner.run(_ask_async(method, options))
        result = method(**options)
        return list(result) if isinstance(result, openai.Stream) else result

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self.client.close())  # type: ignore[arg-type]  # the asynchronous one's
            self._runner.close()
        else:
            self.client.close()


async def _ask_async(method: Any, options: dict[str, Any]) -> Any:
    result = await method(**options)
    return [item async for item in result] if isinstance(result, openai.AsyncStream) else result


Answering = Callable[..., Asking]


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in parts, to either kind of client."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
