"""Each provider's documented usage shape, read into the one vector."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from treerings.usage import Usage


def known(payload: object, provider: str | None = None) -> dict[str, Any]:
    return Usage.from_provider(payload, provider).as_dict()


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "OpenAI chat with every detail": (
        {
            "service_tier": "priority",
            "choices": [],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10},
                "completion_tokens_details": {
                    "reasoning_tokens": 20,
                    "audio_tokens": 5,
                    "accepted_prediction_tokens": 3,
                    "rejected_prediction_tokens": 2,
                },
            },
        },
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_read_tokens": 40,
            "input_audio_tokens": 10,
            "reasoning_tokens": 20,
            "output_audio_tokens": 5,
            "service_tier": "priority",
        },
    ),
    "OpenAI default tier is no tier": (
        {"service_tier": "default", "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        {"input_tokens": 1, "output_tokens": 2},
    ),
    "OpenAI embeddings have no output": (
        {"object": "list", "usage": {"prompt_tokens": 8, "total_tokens": 8}},
        {"input_tokens": 8},
    ),
    "OpenAI responses with a web search and an opened page": (
        {
            "output": [
                {"type": "web_search_call", "action": {"type": "search"}},
                {"type": "web_search_call", "action": {"type": "open_page"}},
                {"type": "file_search_call"},
                {"type": "message"},
            ],
            "usage": {
                "input_tokens": 30,
                "input_tokens_details": {"cached_tokens": 10},
                "output_tokens": 9,
                "output_tokens_details": {"reasoning_tokens": 4},
            },
        },
        {
            "input_tokens": 30,
            "output_tokens": 9,
            "cache_read_tokens": 10,
            "reasoning_tokens": 4,
            "requests": {"web_search": 1, "file_search": 1},
        },
    ),
    "OpenAI images": (
        {
            "data": [{"b64_json": "eA=="}],
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens": 60,
            },
        },
        {"input_tokens": 50, "input_image_tokens": 40, "output_tokens": 60, "output_image_tokens": 60},
    ),
    "OpenAI images without usage are counted": (
        {"created": 1, "data": [{"url": "https://a"}, {"url": "https://b"}]},
        {"requests": {"images": 2}},
    ),
    "OpenAI transcription by tokens": (
        {
            "text": "hi",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                "output_tokens": 45,
            },
        },
        {"input_tokens": 14, "input_audio_tokens": 14, "output_tokens": 45},
    ),
    "OpenAI transcription by the second, begun seconds count": (
        {"text": "hi", "usage": {"type": "duration", "seconds": 2.4}},
        {"requests": {"seconds": 3}},
    ),
    "OpenAI realtime": (
        {
            "type": "response.done",
            "response": {
                "usage": {
                    "input_tokens": 90,
                    "output_tokens": 30,
                    "input_token_details": {
                        "audio_tokens": 60,
                        "cached_tokens": 50,
                        "cached_tokens_details": {"audio_tokens": 20, "text_tokens": 30},
                    },
                    "output_token_details": {"audio_tokens": 25},
                }
            },
        },
        {
            "input_tokens": 90,
            "output_tokens": 30,
            "input_audio_tokens": 60,
            "cache_read_tokens": 50,
            "cache_read_audio_tokens": 20,
            "output_audio_tokens": 25,
        },
    ),
    "OpenAI batch line": (
        {
            "custom_id": "a",
            "response": {"status_code": 200, "body": {"usage": {"prompt_tokens": 5, "completion_tokens": 6}}},
        },
        {"input_tokens": 5, "output_tokens": 6},
    ),
    "Anthropic adds both caches to the input": (
        {
            "usage": {
                "input_tokens": 4,
                "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 1000,
                "cache_creation": {"ephemeral_5m_input_tokens": 70, "ephemeral_1h_input_tokens": 30},
                "output_tokens": 50,
                "server_tool_use": {"web_search_requests": 2},
                "service_tier": "batch",
            }
        },
        {
            "input_tokens": 1104,
            "output_tokens": 50,
            "cache_read_tokens": 1000,
            "cache_write_tokens": 100,
            "cache_write_1h_tokens": 30,
            "requests": {"web_search": 2},
            "service_tier": "batch",
        },
    ),
    "Anthropic compaction is billed beside the message": (
        {
            "usage": {
                "input_tokens": 23000,
                "output_tokens": 1000,
                "iterations": [
                    {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
                    {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
                ],
            }
        },
        {"input_tokens": 203000, "output_tokens": 4500},
    ),
    "Anthropic fast mode": (
        {"usage": {"input_tokens": 1, "cache_read_input_tokens": 0, "output_tokens": 2, "speed": "fast"}},
        {"input_tokens": 1, "cache_read_tokens": 0, "output_tokens": 2, "service_tier": "fast"},
    ),
    "Gemini adds tool prompts and thoughts": (
        {
            "usageMetadata": {
                "promptTokenCount": 75,
                "toolUsePromptTokenCount": 573,
                "candidatesTokenCount": 414,
                "thoughtsTokenCount": 117,
                "cachedContentTokenCount": 32,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 40},
                    {"modality": "AUDIO", "tokenCount": 20},
                    {"modality": "IMAGE", "tokenCount": 10},
                    {"modality": "DOCUMENT", "tokenCount": 5},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 12}],
                "trafficType": "PROVISIONED_THROUGHPUT",
            }
        },
        {
            "input_tokens": 648,
            "output_tokens": 531,
            "cache_read_tokens": 32,
            "cache_read_audio_tokens": 12,
            "reasoning_tokens": 117,
            "input_audio_tokens": 20,
            "input_image_tokens": 15,
            "tool_prompt_tokens": 573,
            "service_tier": "provisioned",
        },
    ),
    "Gemini in snake case": (
        {"usage_metadata": {"prompt_token_count": 7, "candidates_token_count": 3, "thoughts_token_count": None}},
        {"input_tokens": 7, "output_tokens": 3},
    ),
    "Bedrock Converse with lifetimes and tier": (
        {
            "serviceTier": {"type": "flex"},
            "usage": {
                "inputTokens": 10,
                "outputTokens": 20,
                "cacheReadInputTokens": 5,
                "cacheReadInputTokenCount": 5,
                "cacheWriteInputTokens": 8,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 6}, {"ttl": "5m", "inputTokens": 2}],
            },
        },
        {
            "input_tokens": 23,
            "output_tokens": 20,
            "cache_read_tokens": 5,
            "cache_write_tokens": 8,
            "cache_write_1h_tokens": 6,
            "service_tier": "flex",
        },
    ),
    "Bedrock Titan text": (
        {"inputTextTokenCount": 28, "results": [{"tokenCount": 26, "outputText": "x"}]},
        {"input_tokens": 28, "output_tokens": 26},
    ),
    "Bedrock Titan embedding": ({"embedding": [0.1], "inputTextTokenCount": 6}, {"input_tokens": 6}),
    "Bedrock Llama": (
        {"generation": "x", "prompt_token_count": 158, "generation_token_count": 128},
        {"input_tokens": 158, "output_tokens": 128},
    ),
    "Bedrock invocation counts in the headers": (
        {
            "body": "stream",
            "ResponseMetadata": {
                "HTTPHeaders": {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "3"}
            },
        },
        {"input_tokens": 12, "output_tokens": 3},
    ),
    "Cohere is billed by units, not by its own preamble": (
        {
            "meta": {
                "billed_units": {"input_tokens": 227.0, "output_tokens": 225.0},
                "tokens": {"input_tokens": 723},
                "cached_tokens": 448,
            }
        },
        {"input_tokens": 227, "output_tokens": 225},
    ),
    "Cohere rerank": (
        {"results": [], "meta": {"billed_units": {"search_units": 1}}},
        {"requests": {"search_units": 1}},
    ),
    "DeepSeek cache": (
        {
            "usage": {
                "prompt_tokens": 32,
                "completion_tokens": 3,
                "prompt_cache_hit_tokens": 30,
                "prompt_cache_miss_tokens": 2,
            }
        },
        {"input_tokens": 32, "output_tokens": 3, "cache_read_tokens": 30},
    ),
    "Ollama without the prompt, which was in memory": ({"done": True, "eval_count": 79}, {"output_tokens": 79}),
    "watsonx": (
        {"model_id": "m", "results": [{"generated_token_count": 4, "input_token_count": 9, "generated_text": "x"}]},
        {"input_tokens": 9, "output_tokens": 4},
    ),
    "Aleph Alpha": (
        {"completions": [{"completion": "x"}], "num_tokens_prompt_total": 9, "num_tokens_generated": 4},
        {"input_tokens": 9, "output_tokens": 4},
    ),
    "Hugging Face's text generation": (
        {"generated_text": "x", "details": {"generated_tokens": 4, "prefill": []}},
        {"output_tokens": 4},
    ),
    "Replicate": (
        {"output": ["x"], "metrics": {"input_token_count": 9, "output_token_count": 4, "predict_time": 1.5}},
        {"input_tokens": 9, "output_tokens": 4},
    ),
    "Vertex before Gemini": (
        {
            "predictions": [{"content": "x"}],
            "metadata": {
                "tokenMetadata": {"inputTokenCount": {"totalTokens": 9}, "outputTokenCount": {"totalTokens": 4}}
            },
        },
        {"input_tokens": 9, "output_tokens": 4},
    ),
    "Vertex embeddings": (
        {"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": token}}} for token in (3, 4)]},
        {"input_tokens": 7},
    ),
    "Whisper's verbose answer": (
        {"task": "transcribe", "duration": "8.47", "text": "x"},
        {"requests": {"seconds": 9}},
    ),
    "OpenRouter states its cost": (
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.00014, "is_byok": False}},
        {"input_tokens": 1, "output_tokens": 2, "reported_cost_usd": "0.00014"},
    ),
    "OpenRouter with the caller's own key": (
        {
            "usage": {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "cost": 0.001,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.02},
            }
        },
        {"input_tokens": 1, "output_tokens": 2, "reported_cost_usd": "0.021"},
    ),
    "xAI leaves reasoning out of the completion": (
        {
            "usage": {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
                "cost_in_usd_ticks": 37756000,
            }
        },
        {"input_tokens": 32, "output_tokens": 103, "reasoning_tokens": 94, "reported_cost_usd": "0.0037756"},
    ),
    "Perplexity bills reasoning and citations as output": (
        {
            "usage": {
                "prompt_tokens": 33,
                "completion_tokens": 100,
                "citation_tokens": 50,
                "num_search_queries": 28,
                "reasoning_tokens": 200,
            }
        },
        {
            "input_tokens": 33,
            "output_tokens": 350,
            "citation_tokens": 50,
            "reasoning_tokens": 200,
            "requests": {"web_search": 28},
        },
    ),
    "Together's cached tokens stand beside the sums": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}},
        {"input_tokens": 9, "output_tokens": 1, "cache_read_tokens": 4},
    ),
    "Writer spells the details in the singular": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_token_details": {"cached_tokens": 2},
                "completion_tokens_details": None,
            }
        },
        {"input_tokens": 9, "output_tokens": 5, "cache_read_tokens": 2},
    ),
    "Voyage reports only a total": ({"object": "list", "usage": {"total_tokens": 10}}, {"input_tokens": 10}),
    "Voyage as an object of OpenAI's SDK": (
        {"object": "list", "usage": {"prompt_tokens": None, "total_tokens": 10}},
        {"input_tokens": 10},
    ),
    "Mistral documents": (
        {"pages": [], "usage_info": {"pages_processed": 4, "doc_size_bytes": 9}},
        {"requests": {"pages": 4}},
    ),
    "A bare usage object": ({"prompt_tokens": 3, "completion_tokens": 4}, {"input_tokens": 3, "output_tokens": 4}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_documented_shape_is_read(name: str) -> None:
    payload, expected = CASES[name]

    assert known(payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        [],
        "",
        "no usage here",
        7,
        True,
        {"usage": None},
        {"usage": {}},
        {"usage": "many"},
        {"usageMetadata": None},
    ],
)
def test_a_payload_without_usage_says_nothing(payload: object) -> None:
    assert known(payload) == {}


@pytest.mark.parametrize("value", [None, -1, 1.5, "12", True, float("nan"), float("inf"), [], {}])
def test_a_count_that_is_none_stays_unknown(value: object) -> None:
    assert Usage.from_provider({"usage": {"prompt_tokens": value, "completion_tokens": 4}}).input_tokens is None


def test_unknown_is_not_zero() -> None:
    usage = Usage.from_provider({"usage": {"prompt_tokens": 0, "completion_tokens": 4}})

    assert (usage.input_tokens, usage.cache_read_tokens) == (0, None)


def test_an_sdk_object_is_read_like_its_body() -> None:
    details = SimpleNamespace(cached_tokens=3)
    response = SimpleNamespace(
        service_tier="flex",
        usage=SimpleNamespace(prompt_tokens=10, completion_tokens=2, prompt_tokens_details=details),
    )

    expected = {"input_tokens": 10, "output_tokens": 2, "cache_read_tokens": 3, "service_tier": "flex"}
    assert known(response) == expected


def test_an_object_that_raises_says_nothing() -> None:
    class Hostile:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    assert known(Hostile()) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "usage",
                    "prompt_tokens",
                    "input_tokens",
                    "cache_creation",
                    "usageMetadata",
                    "promptTokensDetails",
                    "meta",
                    "billed_units",
                    "choices",
                    "response",
                    "results",
                    "inputTextTokenCount",
                    "iterations",
                    "output",
                    "data",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_payload_raises(payload: object) -> None:
    Usage.from_provider(payload)


def sse(*events: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def streamed(source: Any) -> dict[str, Any]:
    return Usage.from_stream(source).as_dict()


def test_a_chat_stream_ends_with_its_usage() -> None:
    text = sse(
        {"service_tier": "flex", "choices": [{"delta": {"content": "a"}}], "usage": None},
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 10}},
    )

    assert streamed(text) == {"input_tokens": 9, "output_tokens": 10, "service_tier": "flex"}


def test_a_chat_stream_without_usage_is_unknown() -> None:
    assert streamed(sse({"choices": [{"delta": {"content": "a"}}]})) == {}


def test_running_counts_of_a_stream_are_not_added_up() -> None:
    events = [{"usage": {"prompt_tokens": 5, "completion_tokens": number}} for number in (1, 2, 3)]

    assert streamed(events) == {"input_tokens": 5, "output_tokens": 3}


def test_anthropic_deltas_replace_the_counts_of_the_start() -> None:
    start = {"input_tokens": 4, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0, "output_tokens": 1}
    text = sse(
        {"type": "message_start", "message": {"usage": start}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 85}},
    )

    assert streamed(text)["input_tokens"] == 104
    assert streamed(text)["output_tokens"] == 85


def test_gemini_chunks_are_cumulative() -> None:
    chunks = [
        {"usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}},
        {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 4, "thoughtsTokenCount": 3}},
        {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 9, "thoughtsTokenCount": 3}},
    ]

    assert streamed(json.dumps(chunks)) == {"input_tokens": 7, "output_tokens": 12, "reasoning_tokens": 3}


def test_a_responses_stream_is_read_at_its_completion() -> None:
    text = sse(
        {"type": "response.created", "response": {"usage": None, "service_tier": "auto"}},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 3, "output_tokens": 4}}},
    )

    assert streamed(text) == {"input_tokens": 3, "output_tokens": 4}


def test_groq_puts_the_usage_of_a_stream_into_its_own_block() -> None:
    text = sse({"choices": [], "x_groq": {"id": "r", "usage": {"prompt_tokens": 6, "completion_tokens": 7}}})

    assert streamed(text) == {"input_tokens": 6, "output_tokens": 7}


def test_moonshot_puts_the_usage_of_a_stream_into_the_choice() -> None:
    text = sse({"choices": [{"delta": {}, "usage": {"prompt_tokens": 6, "completion_tokens": 7, "cached_tokens": 2}}]})

    assert streamed(text) == {"input_tokens": 6, "output_tokens": 7, "cache_read_tokens": 2}


def test_cohere_ends_with_billed_units_in_both_versions() -> None:
    units = {"billed_units": {"input_tokens": 7, "output_tokens": 9}, "tokens": {"input_tokens": 69}}
    second = sse({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": units}})
    first = json.dumps({"event_type": "stream-end", "response": {"text": "x", "meta": units}})

    assert streamed(second) == streamed(first) == {"input_tokens": 7, "output_tokens": 9}


def test_ollama_counts_in_the_last_line() -> None:
    lines = '{"message":{"content":"a"},"done":false}\n{"done":true,"prompt_eval_count":17,"eval_count":50}\n'

    assert streamed(lines) == {"input_tokens": 17, "output_tokens": 50}


def test_a_line_separator_inside_a_text_does_not_cut_the_event() -> None:
    text = 'data: {"choices":[{"delta":{"content":"a\u2028b"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'

    assert streamed(text) == {"input_tokens": 1, "output_tokens": 2}


def frame(payload: dict[str, Any]) -> bytes:
    body = json.dumps(payload).encode()
    return (len(body) + 16).to_bytes(4, "big") + bytes(8) + body + bytes(4)


def test_aws_frames_are_read_as_bytes_and_as_base64() -> None:
    frames = frame({"contentBlockIndex": 0}) + frame({"usage": {"inputTokens": 18, "outputTokens": 181}})

    expected = {"input_tokens": 18, "output_tokens": 181}
    assert streamed(frames) == streamed(base64.b64encode(frames).decode()) == expected


def test_an_invocation_stream_prefers_the_models_own_usage() -> None:
    metrics = {"inputTokenCount": 4, "outputTokenCount": 9}
    start = {"message": {"usage": {"input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 1}}}
    chunks = [
        {"type": "message_start", **start},
        {"type": "message_delta", "usage": {"output_tokens": 9}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics},
    ]
    events = [{"chunk": {"bytes": json.dumps(chunk).encode()}} for chunk in chunks]

    assert streamed(events) == {"input_tokens": 10, "output_tokens": 9, "cache_read_tokens": 6}


def test_invocation_metrics_are_used_when_the_model_says_nothing() -> None:
    chunk = {"completion": "x", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 4, "outputTokenCount": 9}}

    assert streamed([chunk]) == {"input_tokens": 4, "output_tokens": 9}


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_stream_raises(source: str | bytes) -> None:
    Usage.from_stream(source)


def test_models_of_sdks_are_read_by_their_fields_their_extras_and_their_properties() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Counts(pydantic.BaseModel, extra="allow"):  # type: ignore[call-arg, name-defined, misc]  # found at run time
        prompt_tokens: int | None = None

    class Answer(pydantic.BaseModel):  # type: ignore[name-defined, misc]  # as above
        said: Any = None

        @property
        def usage(self) -> Any:
            return self.said

    counts = Counts(prompt_tokens=3, completion_tokens=2)
    assert Usage.from_provider(Answer(said=counts)) == Usage(input_tokens=3, output_tokens=2)
    assert Usage.from_stream([Answer(said=counts)]) == Usage(input_tokens=3, output_tokens=2)
    assert Usage.from_provider(Counts.model_construct()) == Usage()


@pytest.mark.filterwarnings("error")
def test_an_object_that_does_not_hold_what_it_declares_is_read_without_a_warning() -> None:
    class Counts(BaseModel):
        input_tokens: int
        output_tokens: int

    class Response(BaseModel):
        usage: Counts

    odd: Any = {"prompt_tokens": 3, "completion_tokens": 2}
    for response in (Response.model_construct(usage=odd), SimpleNamespace(usage=Response.model_construct(usage=odd))):
        counts = known(response if isinstance(response, Response) else {"response": response.usage})
        assert (counts["input_tokens"], counts["output_tokens"]) == (3, 2)
    partly = Counts.model_construct(input_tokens="3", output_tokens=2)  # type: ignore[arg-type]
    assert known({"usage": partly})["output_tokens"] == 2
