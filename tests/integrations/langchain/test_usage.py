"""Usage, model and finish reason of LangChain results."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from treerings_langchain.usage import finish_reason_of, model_of, usage_of


def chat(metadata: Any = None, *, llm_output: Any = None, copies: int = 1, **response_metadata: Any) -> LLMResult:
    message = AIMessage(content="x", usage_metadata=metadata, response_metadata=response_metadata)
    return LLMResult(generations=[[ChatGeneration(message=message) for _ in range(copies)]], llm_output=llm_output)


def metadata(**details: Any) -> dict[str, Any]:
    return {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120, **details}


def known(result: Any) -> dict[str, Any] | None:
    usage = usage_of(result)
    return None if usage is None else usage.as_dict()


BASE = {"input_tokens": 100, "output_tokens": 20}


def test_details_are_parts_of_the_sums() -> None:
    result = chat(
        metadata(
            input_token_details={"audio": 5, "cache_read": 40, "cache_creation": 10},
            output_token_details={"audio": 3, "reasoning": 7},
        )
    )

    assert known(result) == {
        **BASE,
        "cache_read_tokens": 40,
        "cache_write_tokens": 10,
        "input_audio_tokens": 5,
        "output_audio_tokens": 3,
        "reasoning_tokens": 7,
    }


@pytest.mark.parametrize("tier", ["priority", "flex"])
def test_keys_of_a_service_tier_are_read_by_their_suffix(tier: str) -> None:
    result = chat(
        metadata(
            input_token_details={f"{tier}_cache_read": 40, f"{tier}_cache_creation": 0, tier: 60},
            output_token_details={f"{tier}_reasoning": 7, tier: 13},
        )
    )

    assert known(result) == {
        **BASE,
        "cache_read_tokens": 40,
        "cache_write_tokens": 0,
        "reasoning_tokens": 7,
        "service_tier": tier,
    }


def test_the_tier_may_stand_in_the_response_metadata_only() -> None:
    result = chat(metadata(), service_tier="flexflex")

    assert known(result) == {**BASE, "service_tier": "flex"}


def test_anthropic_cache_writes_by_lifetime_replace_the_zero_beside_them() -> None:
    details = {
        "cache_read": 50,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 20,
        "ephemeral_1h_input_tokens": 10,
    }

    assert known(chat(metadata(input_token_details=details))) == {
        **BASE,
        "cache_read_tokens": 50,
        "cache_write_tokens": 30,
        "cache_write_1h_tokens": 10,
    }


def test_several_generations_repeat_one_usage() -> None:
    assert known(chat(metadata(), copies=3)) == BASE


def test_copies_of_the_usage_in_other_places_are_not_added() -> None:
    raw = {"prompt_tokens": 100, "completion_tokens": 20}

    assert known(chat(metadata(), llm_output={"token_usage": raw}, token_usage=raw)) == BASE


def test_a_client_cache_hit_is_marked() -> None:
    usage = usage_of(chat(metadata(total_cost=0)))

    assert usage is not None
    assert usage.cache_hit
    assert usage.input_tokens == 100


def test_a_cache_hit_may_have_no_counts() -> None:
    result = chat()
    result.generations[0][0].message.usage_metadata = {"total_cost": 0}

    assert known(result) == {"cache_hit": True}


def test_a_legacy_model_has_its_usage_in_llm_output() -> None:
    result = LLMResult(
        generations=[[Generation(text="a")], [Generation(text="b")]],
        llm_output={"token_usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    )

    assert known(result) == {"input_tokens": 3, "output_tokens": 4}


def test_the_later_runs_of_a_legacy_batch_have_none() -> None:
    assert known(LLMResult(generations=[[Generation(text="b")]], llm_output={"token_usage": {}})) is None


def test_raw_usage_in_the_response_metadata_is_a_fallback() -> None:
    raw = {"input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 2}

    assert known(chat(usage=raw)) == {"input_tokens": 10, "output_tokens": 2, "cache_read_tokens": 6}


def test_ollama_counts_in_the_generation_info_are_a_fallback() -> None:
    generation = Generation(text="a", generation_info={"prompt_eval_count": 5, "eval_count": 6})

    assert known(LLMResult(generations=[[generation]])) == {"input_tokens": 5, "output_tokens": 6}


def test_the_cost_that_a_gateway_states_is_kept() -> None:
    raw = {"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.0012}

    assert known(chat(metadata(), token_usage=raw)) == {**BASE, "reported_cost_usd": "0.0012"}


def test_web_searches_of_anthropic_are_counted() -> None:
    raw = {"input_tokens": 100, "output_tokens": 20, "server_tool_use": {"web_search_requests": 2}}

    assert known(chat(metadata(), usage=raw)) == {**BASE, "requests": {"web_search": 2}}


def test_a_stream_without_usage_is_unknown() -> None:
    assert usage_of(chat(None)) is None


@pytest.mark.parametrize("result", [None, 1, "x", object(), LLMResult(generations=[]), LLMResult(generations=[[]])])
def test_an_odd_result_has_no_usage(result: object) -> None:
    assert usage_of(result) is None
    assert model_of(result) is None
    assert finish_reason_of(result) is None


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4ogpt-4o", "gpt-4o" * 3, "gpt-4o" * 4])
def test_merged_chunks_do_not_repeat_the_model(name: str) -> None:
    assert model_of(chat(metadata(), model_name=name)) == "gpt-4o"


def test_the_model_may_stand_in_llm_output() -> None:
    assert model_of(LLMResult(generations=[[Generation(text="a")]], llm_output={"model_name": "m"})) == "m"


def test_the_finish_reason_is_the_providers_word() -> None:
    assert finish_reason_of(chat(metadata(), stop_reason="end_turn")) == "end_turn"
