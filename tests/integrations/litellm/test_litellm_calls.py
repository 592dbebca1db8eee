"""One step for each call of LiteLLM, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
import pytest
import treerings
from treerings.testing import Capture, ModelServer

Settled = Callable[..., str]
Run = Callable[..., Any]
SHOWN = ("model", "provider", "call_type", "input_tokens", "output_tokens")


def test_a_completion_has_what_was_asked_and_answered(captured: Capture, settled: Settled, ask: dict[str, Any]) -> None:
    litellm.completion(**ask, temperature=0.5, user="u-7")

    assert settled(show=SHOWN) == "llm completion model=gpt-4o-mini provider=openai input_tokens=4 output_tokens=1"
    step = captured.step("llm")
    assert step.input == [{"role": "user", "content": "oak"}]
    assert (step.output["role"], step.output["content"]) == ("assistant", "oak")
    assert step.attributes["finish_reason"] == "stop"
    assert step.attributes["response_id"].startswith("chatcmpl-")
    assert step.attributes["request"] == {"temperature": 0.5}
    assert step.user_id == "u-7"
    assert step.cost_usd
    assert not step.estimated


def test_an_asynchronous_completion_is_whole_though_its_event_loop_ends_at_once(
    captured: Capture, ask: dict[str, Any]
) -> None:
    import asyncio

    asyncio.run(litellm.acompletion(**ask))

    assert captured.outline(show=SHOWN) == (
        "llm completion model=gpt-4o-mini provider=openai input_tokens=4 output_tokens=1"
    )


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        (
            "text_completion",
            {"model": "gpt-3.5-turbo-instruct", "prompt": "oak"},
            "llm text_completion model=gpt-3.5-turbo-instruct provider=openai call_type=completion"
            " input_tokens=4 output_tokens=1",
        ),
        (
            "embedding",
            {"model": "text-embedding-3-small", "input": ["oak"]},
            "embedding embedding model=text-embedding-3-small provider=openai call_type=embedding"
            " input_tokens=1 output_tokens=0",
        ),
        (
            "responses",
            {"model": "openai/gpt-4o-mini", "input": "oak"},
            "llm responses model=gpt-4o-mini provider=openai input_tokens=4 output_tokens=1",
        ),
    ],
)
def test_other_calls(
    settled: Settled, run: Run, name: str, arguments: dict[str, Any], shown: str, asynchronous: bool
) -> None:
    with treerings.step("task", "age"):
        if asynchronous:
            run(lambda: getattr(litellm, f"a{name}")(**arguments))
        else:
            getattr(litellm, name)(**arguments)

    assert settled(show=SHOWN) == f"task age\n  {shown}"


def test_a_moderation(settled: Settled, run: Run) -> None:
    run(lambda: litellm.amoderation(input="oak", model="omni-moderation-latest"))

    assert settled(show=("call_type",)) == "llm moderation call_type=moderation"


def test_an_image_is_billed_by_the_image(captured: Capture, settled: Settled, server: ModelServer) -> None:
    server.play([_recorded("images/generations", {"created": 1, "data": [{"url": "https://x.test/1.png"}]})])

    litellm.image_generation(prompt="an oak", model="dall-e-3", api_base=server.base_url)

    assert settled(show=("call_type",)) == "llm image_generation call_type=image"
    usage = captured.step("llm").usage
    assert usage is not None
    assert usage.requests == {"images": 1}


def test_a_rerank_is_no_model_call(captured: Capture, settled: Settled, server: ModelServer) -> None:
    results = {
        "id": "r1",
        "results": [{"index": 0, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 1}},
    }
    server.play([_recorded("rerank", results)])

    litellm.rerank(
        model="cohere/rerank-v3.5", query="oak", documents=["oak"], api_key="x", api_base=f"{server.url}/v1/rerank"
    )

    assert settled() == "reranker rerank"
    assert captured.step("reranker").output[0]["relevance_score"] == 0.9


def test_several_choices_are_one_output(captured: Capture, settled: Settled, server: ModelServer) -> None:
    server.say("oak", usage={"input_tokens": 7, "output_tokens": 2})

    litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "x"}], api_base=server.base_url, n=2)

    assert settled(show=("input_tokens", "output_tokens")) == "llm completion input_tokens=7 output_tokens=2"


def test_a_call_that_litellm_fails_itself_is_an_error(settled: Settled, ask: dict[str, Any]) -> None:
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**ask, mock_response="litellm.RateLimitError")

    assert settled() == "llm completion error"


def test_no_key_is_recorded(captured: Capture, settled: Settled, ask: dict[str, Any]) -> None:
    litellm.completion(**ask, api_key="sk-oak-secret-1234567890", extra_headers={"x-token": "tok-oak-secret"})

    settled()
    step = captured.step("llm")
    assert "oak-secret" not in str((step.input, step.output, step.attributes, step.labels))


def test_what_litellm_shall_not_log_is_not_kept(
    captured: Capture, settled: Settled, run: Run, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm, "turn_off_message_logging", True)

    litellm.completion(**ask)
    run(lambda: litellm.acompletion(**ask))

    settled()
    assert "oak" not in str([(step.input, step.output) for step in captured.steps])
    assert [step.usage.input_tokens for step in captured.steps if step.usage] == [4, 4]


def _recorded(endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"url": f"https://api.openai.com/v1/{endpoint}", "status": 200, "request": {}, "response": body}
