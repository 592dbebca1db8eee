"""The matrix: a tool of one framework's agent runs an agent of another; one tree, each call once, every token."""

from __future__ import annotations

import asyncio
import warnings

import pytest
from matrix_cell import BLOCKS, IMPOSSIBLE, SDKS, instrumented, judge, load, run_cell
from treerings.testing import ModelServer, capture


@pytest.mark.parametrize("inner", BLOCKS)
@pytest.mark.parametrize("outer", BLOCKS)
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("sdks", SDKS, ids=lambda sdks: "+".join(sdks) or "no SDK")
def test_one_tree_with_every_token(
    server: ModelServer, runner: asyncio.Runner, outer: str, inner: str, mode: str, sdks: tuple[str, ...]
) -> None:
    if mode == "sync" and (outer, inner) in IMPOSSIBLE:
        pytest.skip(IMPOSSIBLE[outer, inner])
    blocks = [block for name in (outer, inner) if (block := load(name)) is not None]
    if len(blocks) < 2:
        pytest.skip("a framework is not installed")
    before = server.usage_served
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with instrumented(blocks, sdks), capture() as captured:
            run_cell(blocks[0], blocks[1], server.base_url, runner if mode == "async" else None)
            verdict = judge(captured, server, before)
    assert verdict, "\n".join([*verdict.faults, verdict.shown])
