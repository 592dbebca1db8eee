"""Answers out of LiteLLM's cache cost nothing, and are where they were asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
import pytest
import treerings
from litellm.caching.caching import Cache
from treerings.testing import Capture

Settled = Callable[..., str]
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def cache(captured: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "cache", None)
    litellm.cache = Cache(type="local")


def _cost(step: Any) -> tuple[bool, bool]:
    return step.usage.cache_hit, step.cost_usd == 0


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_hit_is_free_and_in_its_place(
    captured: Capture, settled: Settled, run: Run, ask: dict[str, Any], asynchronous: bool
) -> None:
    litellm.completion(**ask)
    settled()
    with treerings.step("task", "again"):
        run(lambda: litellm.acompletion(**ask)) if asynchronous else litellm.completion(**ask)

    assert settled(show=("model",)).split("\n\n") == [
        "llm completion model=gpt-4o-mini",
        "task again\n  llm completion model=gpt-4o-mini",
    ]
    assert [_cost(step) for step in captured.steps if step.kind == "llm"] == [(False, False), (True, True)]


def test_an_embedding_out_of_the_cache(captured: Capture, settled: Settled) -> None:
    for _ in range(2):
        with treerings.step("task", "embed"):
            litellm.embedding(model="text-embedding-3-small", input=["oak"])
        settled()

    assert [_cost(step) for step in captured.steps if step.kind == "embedding"] == [(False, False), (True, True)]


def test_a_stream_out_of_the_cache(captured: Capture, settled: Settled, ask: dict[str, Any]) -> None:
    for _ in range(2):
        with treerings.step("task", "read"):
            assert "".join(c.choices[0].delta.content or "" for c in litellm.completion(**ask, stream=True)) == "oak"
        settled()

    assert settled() == "task read\n  llm completion\n\ntask read\n  llm completion"
    assert [_cost(step) for step in captured.steps if step.kind == "llm"] == [(False, False), (True, True)]
