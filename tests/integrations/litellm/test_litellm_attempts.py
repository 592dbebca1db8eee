"""Errors, retries, fallbacks, cancellation: each attempt is a call of its own, and ends as it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import litellm
import pytest
import treerings
from litellm import Router
from treerings.testing import Capture, ModelServer

Settled = Callable[..., str]
Run = Callable[..., Any]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_error_of_the_provider(
    captured: Capture, settled: Settled, run: Run, server: ModelServer, ask: dict[str, Any], asynchronous: bool
) -> None:
    server.fail(500)
    asked = {**ask, "api_base": server.base_url, "max_retries": 0}

    with pytest.raises(litellm.InternalServerError):
        run(lambda: litellm.acompletion(**asked)) if asynchronous else litellm.completion(**asked)

    assert settled(show=("error_type",)) == "llm completion error error_type=InternalServerError"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_retry_is_a_step_beside_the_first(
    captured: Capture,
    settled: Settled,
    run: Run,
    server: ModelServer,
    ask: dict[str, Any],
    asynchronous: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(litellm, "DEFAULT_MAX_RETRIES", 0)
    server.reply(_by_attempt(fail=4), times=None)  # the SDK below tries three times itself, which nobody tells us
    asked = {**ask, "api_base": server.base_url, "num_retries": 2}

    with treerings.step("task", "age"):
        run(lambda: litellm.acompletion(**asked)) if asynchronous else litellm.completion(**asked)

    lines = settled(show=("attempt",)).splitlines()
    assert lines[0] == "task age"
    assert lines[1] == "  llm completion error"
    assert lines[-1] == f"  llm completion attempt={len(lines) - 1}"


def test_the_last_of_several_failures_is_an_error_though_only_one_is_told(
    captured: Capture, settled: Settled, server: ModelServer, ask: dict[str, Any]
) -> None:
    server.fail(400, times=None)

    with pytest.raises(litellm.BadRequestError):
        litellm.completion(**ask, api_base=server.base_url, num_retries=2)

    assert settled(show=("attempt",)) == (
        "llm completion error\n\nllm completion error attempt=2\n\nllm completion error attempt=3"
    )


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_router_falls_back_to_another_model(
    captured: Capture, settled: Settled, run: Run, server: ModelServer, asynchronous: bool
) -> None:
    server.when(model="gpt-4o-mini").fail(500, times=None)
    server.when(model="gpt-4.1-mini").say("oak")
    shared = {"api_base": server.base_url, "api_key": "unused", "max_retries": 0}
    router = Router(
        model_list=[
            {"model_name": "small", "litellm_params": {"model": "openai/gpt-4o-mini", **shared}},
            {"model_name": "other", "litellm_params": {"model": "openai/gpt-4.1-mini", **shared}},
        ],
        fallbacks=[{"small": ["other"]}],
        num_retries=1,
        retry_after=0,
    )
    asked: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "oak"}]}

    with treerings.step("task", "age"):
        run(lambda: router.acompletion(**asked)) if asynchronous else router.completion(**asked)

    assert settled(show=("model", "attempt", "model_group")) == (
        "task age\n"
        "  llm completion error model=gpt-4o-mini model_group=small\n"
        "  llm completion error model=gpt-4o-mini attempt=2 model_group=small\n"
        "  llm completion model=gpt-4.1-mini model_group=other"
    )


def test_a_fallback_of_one_call(captured: Capture, settled: Settled, server: ModelServer, ask: dict[str, Any]) -> None:
    server.when(model="gpt-4o-mini").fail(400)
    server.when(model="gpt-4.1-mini").say("oak")

    with treerings.step("task", "age"):
        litellm.completion(**ask, api_base=server.base_url, max_retries=0, fallbacks=["openai/gpt-4.1-mini"])

    assert settled(show=("model",)) == (
        "task age\n  llm completion error model=gpt-4o-mini\n  llm completion model=gpt-4.1-mini"
    )


def test_a_call_whose_time_is_over_is_cancelled(
    captured: Capture, settled: Settled, server: ModelServer, ask: dict[str, Any]
) -> None:
    server.say("oak", delay=5)

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await litellm.acompletion(**ask, api_base=server.base_url)

    asyncio.run(impatient())

    assert settled() == "llm completion cancelled"


def _by_attempt(fail: int) -> Callable[[Any], Any]:
    from treerings.testing import Answer, Failure

    seen: list[Any] = []

    def reply(request: Any) -> Any:
        seen.append(request)
        return Failure(500) if len(seen) <= fail else Answer("oak")

    return reply
