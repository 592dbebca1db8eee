"""What encloses a call, and what a call encloses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import openai._base_client as sdk
import pytest
import treerings
from treerings.context import current_step
from treerings.testing import Capture

Settled = Callable[..., str]
Run = Callable[..., Any]


@pytest.fixture
def sdk_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request of OpenAI's SDK is a step, as with an integration for the SDK."""
    for client in (sdk.SyncAPIClient, sdk.AsyncAPIClient):
        monkeypatch.setattr(client, "request", treerings.step("llm", "sdk", model="gpt-4o-mini")(client.request))


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("completion", {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "oak"}]}),
        ("text_completion", {"model": "gpt-3.5-turbo-instruct", "prompt": "oak"}),
        ("embedding", {"model": "text-embedding-3-small", "input": ["oak"]}),
    ],
)
def test_the_sdks_step_is_below_litellms(
    sdk_steps: None, settled: Settled, run: Run, name: str, asked: dict[str, Any], asynchronous: bool
) -> None:
    with treerings.step("task", "age"):
        if asynchronous:
            run(lambda: getattr(litellm, f"a{name}")(**asked))
        else:
            getattr(litellm, name)(**asked)

    kind = "embedding" if name == "embedding" else "llm"
    assert settled() == f"task age\n  {kind} {name}\n    llm sdk"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_sdks_step_of_a_stream_is_below_litellms(
    sdk_steps: None, settled: Settled, run: Run, ask: dict[str, Any], asynchronous: bool
) -> None:
    async def read() -> None:
        async for _ in await litellm.acompletion(**ask, stream=True):
            with treerings.step("tool", "between"):
                pass
            break

    if asynchronous:
        run(read)
    else:
        for _ in litellm.completion(**ask, stream=True):
            with treerings.step("tool", "between"):
                pass
            break

    assert settled().split("\n\n") == ["llm completion cancelled\n  llm sdk", "tool between"]


def test_a_call_that_has_returned_is_no_parent(settled: Settled, ask: dict[str, Any]) -> None:
    """LiteLLM tells the end of a call on another thread, later."""
    with treerings.step("task", "age"):
        litellm.completion(**ask)
        with treerings.step("tool", "count"):
            pass
        litellm.completion(**ask)

    assert settled() == "task age\n  llm completion\n  tool count\n  llm completion"


def test_calls_at_once_are_siblings(settled: Settled, run: Run, ask: dict[str, Any]) -> None:
    async def five() -> None:
        with treerings.step("task", "age"):
            await asyncio.gather(*(litellm.acompletion(**ask) for _ in range(5)))

    run(five)

    assert settled() == "task age" + "\n  llm completion" * 5


def test_a_call_inside_of_a_custom_provider_is_below_it(
    settled: Settled, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Passing(litellm.CustomLLM):
        def completion(self, *args: Any, **kwargs: Any) -> Any:
            return litellm.completion(**ask)

    monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": "passing", "custom_handler": Passing()}])

    litellm.completion(model="passing/oak", messages=ask["messages"])

    outline = settled(show=("model",))
    assert "llm completion model=gpt-4o-mini" in outline


def test_nothing_is_left_around_the_caller(settled: Settled, ask: dict[str, Any]) -> None:
    litellm.completion(**ask)

    assert current_step() is None


def test_dimensions_of_the_metadata(captured: Capture, settled: Settled, ask: dict[str, Any]) -> None:
    litellm.completion(**ask, metadata={"session_id": "s-41"})

    settled()
    assert captured.step("llm").session_id == "s-41"


@pytest.fixture(autouse=True)
def no_providers_left() -> Iterator[None]:
    before = list(litellm.custom_provider_map)
    yield
    litellm.custom_provider_map = before
