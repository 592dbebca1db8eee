"""From a recorded call to its tokens and cost, through the real accounting."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import treerings
from treerings import Usage, hookimpl, step
from treerings.prices import Price
from treerings.registry import Registry
from treerings.testing import Capture, capture


def a_plugin(**hooks: Any) -> Any:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def test_a_reported_usage_is_priced_with_its_provenance(treerings_capture: Capture) -> None:
    with step("llm", "ask", model="gpt-4o-mini", provider="openai") as call:
        call.set(usage=Usage(input_tokens=1_000, output_tokens=100))
    recorded = treerings_capture.step("llm")
    assert recorded.cost_usd is not None
    assert recorded.price is not None
    assert (recorded.price["source"], "gpt-4o-mini" in recorded.price["rule"]) == ("snapshot", True)


def test_an_unknown_model_costs_an_unknown_amount(treerings_capture: Capture) -> None:
    with step("llm", "ask", model="nobody-knows-this") as call:
        call.set(usage=Usage(input_tokens=1_000, output_tokens=100))
    totals = treerings_capture.workflow.totals
    assert (treerings_capture.step("llm").cost_usd, totals.unpriced_calls, totals.cost_usd) == (None, 1, 0)


def test_what_was_not_reported_is_estimated_and_marked(treerings_capture: Capture) -> None:
    with step(
        "llm", "ask", model="claude-sonnet-4-5", input=[{"role": "user", "content": "How tall is an oak?"}]
    ) as call:
        call.set(output="About thirty metres.")
    recorded = treerings_capture.step("llm")
    assert recorded.usage is not None
    assert recorded.usage.input_tokens
    assert (recorded.estimated, recorded.attributes["token_count_method"]) == (True, "heuristic")


@pytest.mark.parametrize(
    ("model", "unit", "number", "cost"),
    [
        ("whisper-1", "seconds", 90, "0.0090"),
        ("tts-1", "characters", 2_000, "0.030"),
        ("dall-e-3", "images", 2, "0.08"),
        ("rerank-v3.5", "search_units", 1, "0.0020"),
    ],
)
def test_what_is_billed_by_other_units_has_no_estimated_tokens_and_an_exact_price(
    model: str, unit: str, number: int, cost: str
) -> None:
    with capture(prices={"dall-e-3": {"images": 0.04}}) as captured:
        with step("llm", "ask", model=model, input="the rings of an oak") as call:
            call.set(output="are counted", usage=Usage(requests={unit: number}))
        recorded = captured.step("llm")
    assert (recorded.usage, recorded.estimated) == (Usage(requests={unit: number}), False)
    assert recorded.price is not None
    assert (recorded.cost_usd, recorded.price["confidence"]) == (Decimal(cost), "exact")


def test_searches_are_billed_beside_tokens_which_are_estimated(treerings_capture: Capture) -> None:
    with step("llm", "ask", model="gpt-4o-mini", input="the rings of an oak") as call:
        call.set(output="are counted", usage=Usage(requests={"web_search": 1}))
    recorded = treerings_capture.step("llm")
    assert recorded.usage is not None
    assert (recorded.estimated, bool(recorded.usage.input_tokens)) == (True, True)


@pytest.mark.parametrize("content", ["none", "hash", "truncated"])
def test_an_estimate_is_of_the_whole_text_whatever_is_kept_of_it(content: str) -> None:
    def tokens(**settings: Any) -> Usage | None:
        with capture(**settings) as captured:
            with step("llm", "ask", model="some-model", input="leaf " * 5_000) as call:
                call.set(output="tree " * 5_000)
            return captured.step("llm").usage

    assert tokens(content=content, max_content=10) == tokens(content="full")


def test_a_call_that_failed_without_an_answer_costs_nothing_we_know_of(treerings_capture: Capture) -> None:
    with pytest.raises(ConnectionError), step("llm", "ask", model="gpt-4o-mini", input="question"):
        raise ConnectionError
    recorded = treerings_capture.step("llm")
    assert (recorded.usage, recorded.cost_usd, recorded.unpriced) == (None, None, False)


def test_of_nested_calls_one_is_in_the_totals(treerings_capture: Capture) -> None:
    usage = Usage(input_tokens=1_000, output_tokens=100)
    with (
        step("llm", "outer", model="gpt-4o-mini", provider="openai") as outer,
        step("llm", "inner", model="gpt-4o-mini", provider="openai") as inner,
    ):
        inner.set(usage=usage)
        outer.set(usage=usage)
    totals = treerings_capture.workflow.totals
    assert (totals.llm_calls, totals.input_tokens) == (1, 1_000)
    assert totals.cost_usd == treerings_capture.step("llm", "inner").cost_usd
    assert not treerings_capture.step("llm", "outer").counted


def test_a_tool_with_its_own_price_counts() -> None:
    registry = Registry(entry_points=False)
    price = Price(Decimal("0.25"), "user", "contract", "per search")
    registry.register(a_plugin(price_usage=lambda step: price if step.kind == "tool" else None), "contract")
    with capture(registry=registry) as captured:
        with step("tool", "search") as search:
            search.set(usage=Usage(requests={"search": 1}))
        assert captured.workflow.totals.cost_usd == Decimal("0.25")


def test_a_failing_price_plugin_leaves_our_price() -> None:
    registry = Registry(entry_points=False)
    registry.register(a_plugin(price_usage=lambda step: 1 / 0), "bad")
    with capture(registry=registry) as captured:
        with step("llm", "ask", model="gpt-4o-mini", provider="openai") as call:
            call.set(usage=Usage(input_tokens=1_000))
        assert captured.step("llm").cost_usd is not None


def test_the_users_prices_go_before_ours() -> None:
    with capture(prices={"gpt-4o-mini": {"input": 1, "output": 2}}) as captured:
        with step("llm", "ask", model="gpt-4o-mini", provider="openai") as call:
            call.set(usage=Usage(input_tokens=1_000_000, output_tokens=1_000_000))
        assert captured.step("llm").cost_usd == 3


def test_the_names_of_deployments_are_priced_as_their_models() -> None:
    with capture(deployments={"our-chat": "gpt-4o-mini"}) as captured:
        with step("llm", "ask", model="our-chat", provider="azure") as call:
            call.set(usage=Usage(input_tokens=1_000_000, output_tokens=0))
        assert captured.step("llm").cost_usd is not None


def test_a_bug_in_the_accounting_leaves_the_cost_unknown(
    treerings_capture: Capture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("treerings.prices.PriceBook.price", lambda *args, **kwargs: 1 / 0)
    for _ in range(3):
        with step("llm", "ask", model="gpt-4o-mini") as call:
            call.set(usage=Usage(input_tokens=1))
    assert [recorded.cost_usd for recorded in treerings_capture.steps] == [None, None, None]
    assert caplog.text.count("The cost of a step could not be worked out (said once)") == 1
    assert treerings.current_recorder() is treerings_capture.recorder
