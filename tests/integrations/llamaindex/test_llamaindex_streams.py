"""Streams: model calls that outlive their span, answers that are read later, elsewhere, half, or never."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.chat_engine import CondenseQuestionChatEngine, SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from llamaindex_samples import CHAT, QUERY
from treerings.testing import Answer, Capture, DeterministicClock, ModelServer, capture
from treerings_llamaindex import integration, payloads
from treerings_llamaindex.handlers import TRANSLATOR

Models = Callable[..., OpenAI]
REPORTING = {"stream_options": {"include_usage": True}}
HELLO = [ChatMessage("How old?")]


def statuses(captured: Capture) -> dict[str, str]:
    return {f"{step.kind} {step.name}": str(step.status) for step in captured.steps}


def test_a_streaming_call_stays_open_until_its_last_chunk(captured: Capture, model: Models) -> None:
    stream = model().stream_chat(HELLO)
    next(iter(stream))
    assert captured.step("llm").status == "running"

    rest = list(stream)
    step = captured.step("llm")
    assert (step.status, step.output["content"]) == ("ok", "112 rings.")
    assert rest[-1].message.content == "112 rings."
    assert step.first_token_ms is not None


def test_an_asynchronous_stream_stays_open_until_its_last_chunk(captured: Capture, model: Models) -> None:
    async def read() -> str:
        async for chunk in await model().astream_chat(HELLO):
            assert captured.step("llm").status == "running" or chunk.message.content == "112 rings."
        return str(chunk.message.content)

    assert asyncio.run(read()) == "112 rings."
    assert captured.step("llm").output["content"] == "112 rings."


def test_a_stream_without_usage_is_estimated(captured: Capture, model: Models) -> None:
    list(model().stream_chat(HELLO))

    step = captured.step("llm")
    assert step.estimated
    assert step.usage.input_tokens


def test_a_stream_with_usage_is_counted(captured: Capture, model: Models, server: ModelServer) -> None:
    list(model(additional_kwargs=REPORTING).stream_chat(HELLO))

    step, served = captured.step("llm"), server.usage_served
    assert not step.estimated
    assert (step.usage.input_tokens, step.usage.output_tokens) == (served.input_tokens, served.output_tokens)
    assert step.attributes["finish_reason"] == "stop"


def test_a_consumer_that_stops_cancels_the_call_and_is_no_error(captured: Capture, model: Models) -> None:
    stream = model().stream_chat(HELLO)
    next(stream)
    next(stream)
    stream.close()

    step = captured.step("llm")
    assert (step.status, step.error) == ("cancelled", None)
    assert step.output["content"] not in ("", "112 rings.")


def test_an_asynchronous_consumer_that_stops_cancels_the_call(captured: Capture, model: Models) -> None:
    async def read() -> None:
        stream: Any = await model().astream_chat(HELLO)
        await anext(stream)
        await stream.aclose()

    asyncio.run(read())
    assert (captured.step("llm").status, captured.step("llm").error) == ("cancelled", None)


def test_a_stream_that_nobody_reads_is_cancelled_when_it_is_collected(captured: Capture, model: Models) -> None:
    stream = model().stream_chat(HELLO)
    del stream
    gc.collect()
    captured.finish()

    assert captured.step("llm").status == "cancelled"
    assert (len(TRANSLATOR.spans), len(TRANSLATOR.streams)) == (0, 0)


def test_a_stream_that_breaks_is_an_error_with_what_was_said(
    captured: Capture, model: Models, server: ModelServer
) -> None:
    server.drop(after_chunks=3, text="One two three four five six seven eight nine.")
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever the client makes of it
        list(model().stream_chat(HELLO))

    step = captured.step("llm")
    assert step.status == "error"
    assert step.error_type
    assert step.output["content"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_streaming_query_is_one_tree_that_ends_with_its_stream(
    captured: Capture, index: VectorStoreIndex, model: Models, asynchronous: bool
) -> None:
    engine = index.as_query_engine(llm=model(), streaming=True)

    async def read() -> str:
        answer: Any = await engine.aquery("How old?")
        assert statuses(captured)["workflow RetrieverQueryEngine"] == "running"
        return "".join([text async for text in answer.response_gen])

    if asynchronous:
        text = asyncio.run(read())
    else:
        answer: Any = engine.query("How old?")
        assert statuses(captured)["workflow RetrieverQueryEngine"] == "running"
        text = "".join(answer.response_gen)

    assert text == "112 rings."
    assert captured.outline() == QUERY
    assert set(statuses(captured).values()) == {"ok"}
    assert captured.workflow.steps[0].output == "112 rings."


def test_a_streaming_answer_is_left_for_its_reader(captured: Capture, index: VectorStoreIndex, model: Models) -> None:
    answer = index.as_query_engine(llm=model(), streaming=True).query("How old?")
    captured.flush()

    assert str(answer) == "112 rings."


def test_a_streaming_answer_in_a_payload_is_named_and_not_read() -> None:
    answer = StreamingResponse(response_gen=iter_text(), source_nodes=[])

    assert payloads.take({"answer": answer}) == {"answer": "<StreamingResponse>"}
    assert str(answer) == "112 rings."


def iter_text() -> Any:
    yield "112 "
    yield "rings."


def test_a_stream_that_is_read_in_a_bare_thread_stays_in_its_tree(
    captured: Capture, index: VectorStoreIndex, model: Models
) -> None:
    answer: Any = index.as_query_engine(llm=model(), streaming=True).query("How old?")
    thread = threading.Thread(target=lambda: list(answer.response_gen))
    thread.start()
    thread.join()

    assert captured.outline() == QUERY


def test_two_streams_that_are_read_in_turns_keep_apart(
    captured: Capture, index: VectorStoreIndex, model: Models
) -> None:
    engine = index.as_query_engine(llm=model(), streaming=True)
    first: Any = engine.query("The first?")
    second: Any = engine.query("The second?")
    model().complete("Something else.")
    reading, also = iter(second.response_gen), iter(first.response_gen)
    while next(reading, None) is not None or next(also, None) is not None:
        pass

    outlines = captured.outline().split("\n\n")
    assert sorted(outlines) == sorted([QUERY, QUERY, "llm OpenAI"])


def test_a_query_whose_stream_nobody_reads_is_cancelled(
    captured: Capture, index: VectorStoreIndex, model: Models
) -> None:
    answer = index.as_query_engine(llm=model(), streaming=True).query("How old?")
    del answer
    gc.collect()
    captured.finish()

    assert statuses(captured)["workflow RetrieverQueryEngine"] == "cancelled"
    assert statuses(captured)["retriever VectorIndexRetriever"] == "ok"
    assert len(TRANSLATOR.spans) == 0


def test_a_query_whose_reader_stops_is_cancelled(captured: Capture, index: VectorStoreIndex, model: Models) -> None:
    answer: Any = index.as_query_engine(llm=model(), streaming=True).query("How old?")
    next(answer.response_gen)
    answer.response_gen.close()
    del answer
    gc.collect()

    assert captured.outline().splitlines()[-1] == "    llm OpenAI cancelled"
    assert statuses(captured)["workflow RetrieverQueryEngine"] == "cancelled"


def test_a_query_whose_stream_breaks_failed(
    captured: Capture, index: VectorStoreIndex, model: Models, server: ModelServer
) -> None:
    server.fail(400, message="no such model")
    answer: Any = index.as_query_engine(llm=model(), streaming=True).query("How old?")
    with pytest.raises(Exception, match="no such model"):
        list(answer.response_gen)

    assert statuses(captured)["llm OpenAI"] == "error"
    assert statuses(captured)["workflow RetrieverQueryEngine"] == "error"


def test_a_streaming_chat_is_one_tree_whose_thread_is_followed(
    captured: Capture, index: VectorStoreIndex, model: Models
) -> None:
    answer: Any = index.as_chat_engine(chat_mode="context", llm=model()).stream_chat("How old?")

    assert "".join(answer.response_gen) == "112 rings."
    assert captured.outline() == CHAT
    assert set(statuses(captured).values()) == {"ok"}


def test_an_asynchronous_streaming_chat_is_one_tree(captured: Capture, index: VectorStoreIndex, model: Models) -> None:
    async def read() -> str:
        answer: Any = await index.as_chat_engine(chat_mode="context", llm=model()).astream_chat("How old?")
        return "".join([text async for text in answer.async_response_gen()])

    assert asyncio.run(read()) == "112 rings."
    assert captured.outline() == CHAT
    assert set(statuses(captured).values()) == {"ok"}


def test_a_streaming_chat_over_a_streaming_query_is_one_tree(
    captured: Capture, index: VectorStoreIndex, model: Models
) -> None:
    engine = CondenseQuestionChatEngine.from_defaults(index.as_query_engine(llm=model(), streaming=True), llm=model())
    answer: Any = engine.stream_chat("How old?", chat_history=[ChatMessage("Hi"), ChatMessage("Hello")])
    list(answer.response_gen)

    inner = [f"  {line}" for line in QUERY.splitlines()]
    assert captured.outline().splitlines() == ["workflow CondenseQuestionChatEngine", "  llm OpenAI", *inner]
    assert set(statuses(captured).values()) == {"ok"}


def test_a_simple_streaming_chat_ends_with_its_stream(captured: Capture, model: Models) -> None:
    answer: Any = SimpleChatEngine.from_defaults(llm=model()).stream_chat("Hi")
    list(answer.response_gen)

    assert captured.outline() == "workflow SimpleChatEngine\n  llm OpenAI"
    assert set(statuses(captured).values()) == {"ok"}


def test_a_streamed_completion_is_recorded(captured: Capture, model: Models) -> None:
    chunks = list(model().stream_complete("How old?"))

    assert chunks[-1].text == "112 rings."
    step = captured.step("llm")
    assert (step.input, step.output, step.attributes["call_type"]) == ("How old?", "112 rings.", "completion")


def test_the_time_to_the_first_token_is_measured(server: ModelServer, model: Models) -> None:
    clock = DeterministicClock()
    server.reply(Answer("112 rings."))
    with capture(clock=clock) as captured:
        integration.instrument()
        stream = model().stream_chat(HELLO)
        clock.advance(seconds=2)
        list(stream)
        assert captured.step("llm").first_token_ms == pytest.approx(2000, abs=50)
