"""Streams of every framework, read inside of own steps: each model call counts once, every token, the SDK captured too."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from matrix_cell import QUIET
from matrix_streaming import STREAMS
from treerings.testing import ModelServer, capture


async def _items(stream: Any) -> Any:
    """The items of a stream of either kind; each is asked for in the reader's own frame and task."""
    if hasattr(stream, "__anext__"):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


async def _around(items: Any) -> None:
    with treerings.step("task", "reading"):
        async for _ in items:
            pass


async def _rest(items: Any) -> None:
    async for _ in items:
        break
    with treerings.step("task", "reading"):
        async for _ in items:
            pass


async def _each(items: Any) -> None:
    while True:
        with treerings.step("task", "reading"):
            if await anext(items, None) is None:
                return


async def _between(items: Any) -> None:
    async for _ in items:
        with treerings.step("task", "handling"):
            pass


async def _deeper(items: Any) -> None:
    """Each item in a step inside of the one before."""
    with contextlib.ExitStack() as steps:
        async for _ in items:
            steps.enter_context(treerings.step("task", "reading"))


WAYS = {"around": _around, "rest": _rest, "each": _each, "between": _between, "deeper": _deeper}


async def _read(make: Callable[[str], Any], base_url: str, way: Any) -> None:
    stream = make(base_url)
    if hasattr(stream, "__aenter__"):
        async with stream as opened:
            await way(_items(opened))
    else:
        await way(_items(stream))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_read_in_own_steps_counts_every_token_once(
    server: ModelServer, runner: asyncio.Runner, name: str, way: str
) -> None:
    os.environ.update(QUIET)
    make, integration, packages = STREAMS[name]
    with contextlib.suppress(ModuleNotFoundError):
        if not all(importlib.util.find_spec(package) is not None for package in packages):
            pytest.skip("a package is not installed")
    before = server.usage_served
    treerings.uninstrument()
    treerings.instrument(integration, "openai")
    try:
        with warnings.catch_warnings(), capture() as captured:
            warnings.simplefilter("ignore")
            runner.run(_read(make, server.base_url, WAYS[way]))
            workflows = captured.workflows
            shown = captured.outline(show=("source", "counted", "input_tokens"), hidden=True)
    finally:
        treerings.uninstrument()
    now = server.usage_served
    assert sum(workflow.totals.llm_calls for workflow in workflows) == now.calls - before.calls > 0, shown
    assert sum(workflow.totals.total_tokens for workflow in workflows) == now.total_tokens - before.total_tokens, shown
