"""Model calls and embeddings: names, usage, requests, failures, layers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.extractors import TitleExtractor
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.llms import ChatMessage, ChatResponse, CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.prompts import PromptTemplate
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel
from treerings.testing import Answer, Capture, ModelServer
from treerings_llamaindex.handlers import TRANSLATOR, EventHandler, SpanHandler

Models = Callable[..., OpenAI]
HELLO = [ChatMessage("How old?", role="user")]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_call_has_usage_model_provider_request_and_reason(
    captured: Capture, model: Models, server: ModelServer, asynchronous: bool
) -> None:
    llm = model(temperature=0.5, max_tokens=50)
    asyncio.run(llm.achat(HELLO, top_p=0.9)) if asynchronous else llm.chat(HELLO, top_p=0.9)

    step, served = captured.step("llm"), server.usage_served
    assert (step.name, step.model, step.provider, step.source) == ("OpenAI", "gpt-4o-mini", "openai", "llamaindex")
    assert step.input == [{"role": "user", "content": "How old?"}]
    assert step.output == {"role": "assistant", "content": "112 rings."}
    assert (step.usage.input_tokens, step.usage.output_tokens) == (served.input_tokens, served.output_tokens)
    assert step.attributes["request"] == {"temperature": 0.5, "max_tokens": 50, "top_p": 0.9}
    assert step.attributes["finish_reason"] == "stop"
    assert step.attributes["response_id"]
    assert step.cost_usd


def test_no_key_is_recorded(captured: Capture, model: Models) -> None:
    model(api_key="sk-very-secret").chat(HELLO)

    assert "very-secret" not in str([(step.input, step.output, step.attributes) for step in captured.steps])


def test_a_model_without_the_new_name_is_known_by_the_old_one(captured: Capture) -> None:
    """Versions before 0.14.23 told `to_dict()`: `model`, and the key with it."""
    told = {"model": "oak-7b", "api_key": "sk-very-secret", "class_name": "OakLLM"}
    spans, events = SpanHandler(), EventHandler()
    asked = asyncio.Event  # any callable: only its arguments are bound
    bound: Any = __import__("inspect").signature(asked).bind()
    llm: Any = OpenAI(api_key="unused")
    spans.span_enter("OpenAI.chat-" + "0" * 36, bound, llm, None, {})
    events.handle(
        LLMChatStartEvent(messages=HELLO, additional_kwargs={}, model_dict=told, span_id="OpenAI.chat-" + "0" * 36)
    )
    reply = ChatResponse(message=ChatMessage("7", role="assistant"))
    events.handle(LLMChatEndEvent(messages=HELLO, response=reply, span_id="OpenAI.chat-" + "0" * 36))
    spans.span_exit("OpenAI.chat-" + "0" * 36, bound, llm, reply)

    assert captured.step("llm").model == "oak-7b"
    assert "very-secret" not in str(captured.step("llm"))


def test_a_failed_call_ends_with_its_error(captured: Capture, model: Models, server: ModelServer) -> None:
    server.fail(400, message="no such model")
    with pytest.raises(Exception, match="no such model"):
        model().chat(HELLO)

    step = captured.step("llm")
    assert (step.status, step.error_type) == ("error", "BadRequestError")
    assert step.usage is None or step.estimated


def test_a_wrapper_around_a_call_is_no_step(captured: Capture, model: Models) -> None:
    model().predict(PromptTemplate("Is {what} old?"), what="the oak")

    assert captured.outline(hidden=True) == "llm OpenAI"


class Age(BaseModel):
    rings: int


def test_a_structured_prediction_is_its_call(captured: Capture, model: Models, server: ModelServer) -> None:
    server.reply({"rings": 112})
    age = model().structured_predict(Age, PromptTemplate("How old is {what}?"), what="the oak")

    assert age == Age(rings=112)
    assert captured.outline(hidden=True) == "llm OpenAI"


class Parrot(CustomLLM):
    """A model of one's own: its chat is a completion, which tells usage."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="parrot-1")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="112", raw={"usage": {"prompt_tokens": 10, "completion_tokens": 2}})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        def stream() -> Any:
            yield CompletionResponse(text="1", delta="1")
            yield CompletionResponse(
                text="112", delta="12", raw={"usage": {"prompt_tokens": 10, "completion_tokens": 2}}
            )

        return stream()


def test_a_chat_that_is_a_completion_is_counted_once(captured: Capture) -> None:
    Parrot().chat(HELLO)

    assert captured.outline() == "llm Parrot\n  llm Parrot"
    assert captured.workflow.totals.input_tokens == 10
    assert [step.counted for step in captured.steps] == [False, True]
    assert {step.provider for step in captured.steps} == {None}


def test_a_streamed_chat_that_is_a_completion_is_counted_once(captured: Capture) -> None:
    list(Parrot().stream_chat(HELLO))

    assert captured.outline() == "llm Parrot\n  llm Parrot"
    assert captured.workflow.totals.input_tokens == 10


def test_the_responses_interface_has_its_usage(captured: Capture, server: ModelServer) -> None:
    llm = OpenAIResponses(model="gpt-4o-mini", api_base=server.base_url, api_key="unused", max_retries=0)
    llm.chat(HELLO)
    list(llm.stream_chat(HELLO))

    served = server.usage_served
    steps = [step for step in captured.steps if step.kind == "llm"]
    assert sum(step.usage.input_tokens for step in steps) == served.input_tokens
    assert sum(step.usage.output_tokens for step in steps) == served.output_tokens
    assert not any(step.estimated for step in steps)


def test_tools_are_part_of_what_the_model_was_asked(captured: Capture, agent: Callable[..., Any]) -> None:
    async def run() -> None:
        await agent().run("How old?")

    asyncio.run(run())
    step = captured.step("llm")
    assert [message["role"] for message in step.input["messages"]] == ["user"]
    assert step.input["tools"][0]["function"]["name"] == "ring_count"


def test_an_embedding_has_its_texts_and_no_vectors(captured: Capture, embeddings: OpenAIEmbedding) -> None:
    embeddings.get_query_embedding("old trees")

    step = captured.step("embedding")
    assert (step.name, step.model, step.provider) == ("OpenAIEmbedding", "text-embedding-3-small", "openai")
    assert (step.input, step.output) == (["old trees"], {"vectors": 1})
    assert step.attributes["dimensions"] > 1
    assert step.estimated


@pytest.mark.parametrize("asynchronous", [False, True])
def test_batches_of_embeddings_are_one_step(captured: Capture, asynchronous: bool) -> None:
    mock = MockEmbedding(embed_dim=3, embed_batch_size=2)
    texts = ["oak", "fir", "elm"]
    if asynchronous:
        asyncio.run(mock.aget_text_embedding_batch(texts))
    else:
        mock.get_text_embedding_batch(texts)

    outer = captured.steps[0]
    assert (outer.kind, outer.input, outer.output) == ("embedding", texts, {"vectors": 3})
    assert outer.attributes["batches"] == 2


def test_a_failed_embedding_is_an_error(captured: Capture, embeddings: OpenAIEmbedding, server: ModelServer) -> None:
    server.when(endpoint="embeddings").fail(400, message="no such model")
    with pytest.raises(Exception, match="no such model"):
        embeddings.get_text_embedding("oak")

    assert captured.step("embedding").status == "error"


def test_an_ingestion_is_one_tree(captured: Capture, model: Models, embeddings: OpenAIEmbedding) -> None:
    pipeline = IngestionPipeline(transformations=[TitleExtractor(llm=model(), nodes=1), embeddings])
    pipeline.run(documents=[Document(text="Oaks grow old.")])

    outline = captured.outline().splitlines()
    assert outline[0] == "chain IngestionPipeline"
    assert sorted(set(outline[1:])) == ["  embedding OpenAIEmbedding", "  llm OpenAI"]


def test_a_refused_answer_and_the_length_limit_keep_their_reason(
    captured: Capture, model: Models, server: ModelServer
) -> None:
    server.reply(Answer("112", finish_reason="length"))
    list(model().stream_chat(HELLO))

    assert captured.step("llm").attributes["finish_reason"] == "length"
    assert len(TRANSLATOR.spans) == 0
