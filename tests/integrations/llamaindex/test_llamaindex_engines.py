"""Query engines, chat engines, retrievers, rerankers and synthesizers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.postprocessor import LLMRerank, SimilarityPostprocessor
from llama_index.core.postprocessor.structured_llm_rerank import StructuredLLMRerank
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.openai import OpenAI
from llamaindex_samples import CHAT, QUERY, asks_once
from treerings.testing import Capture, ModelServer, ToolCall

Models = Callable[..., OpenAI]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_query_is_one_tree_without_its_plumbing(
    captured: Capture, index: VectorStoreIndex, model: Models, asynchronous: bool
) -> None:
    engine = index.as_query_engine(llm=model())
    answer: Any = asyncio.run(engine.aquery("How old?")) if asynchronous else engine.query("How old?")

    assert str(answer) == "112 rings."
    assert captured.outline(hidden=True) == QUERY
    root = captured.workflow.steps[0]
    assert (root.input, root.output) == ("How old?", "112 rings.")


def test_a_retriever_says_what_it_found(captured: Capture, index: VectorStoreIndex) -> None:
    index.as_retriever().retrieve("old trees")

    step = captured.step("retriever")
    assert step.input == "old trees"
    assert sorted(node["content"] for node in step.output) == ["Firs grow tall.", "Oaks grow old."]
    assert all(isinstance(node["score"], float) and "embedding" not in node for node in step.output)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("mode", ["context", "condense_plus_context"])
def test_a_chat_is_one_tree(
    captured: Capture, index: VectorStoreIndex, model: Models, asynchronous: bool, mode: Any
) -> None:
    engine = index.as_chat_engine(chat_mode=mode, llm=model())
    answer: Any = asyncio.run(engine.achat("How old?")) if asynchronous else engine.chat("How old?")

    assert str(answer) == "112 rings."
    name = type(engine).__name__
    assert captured.outline() == CHAT.replace("ContextChatEngine", name)
    assert (captured.workflow.steps[0].input, captured.workflow.steps[0].output) == ("How old?", "112 rings.")


def test_a_simple_chat_has_its_model_call(captured: Capture, model: Models) -> None:
    SimpleChatEngine.from_defaults(llm=model()).chat("Hi", chat_history=[ChatMessage("Before.")])

    assert captured.outline() == "workflow SimpleChatEngine\n  llm OpenAI"


def test_a_reranking_model_is_a_reranker_with_its_call(
    captured: Capture, index: VectorStoreIndex, model: Models, server: ModelServer
) -> None:
    server.say("Doc: 1, Relevance: 9\nDoc: 2, Relevance: 3")
    index.as_query_engine(llm=model(), node_postprocessors=[LLMRerank(llm=model(), top_n=1)]).query("How old?")

    assert captured.outline() == QUERY.replace("  chain", "  reranker LLMRerank\n    llm OpenAI\n  chain")
    step = captured.step("reranker")
    assert step.input["query"] == "How old?"
    assert (len(step.input["nodes"]), len(step.output)) == (2, 1)


def test_a_structured_reranker_is_one_step(
    captured: Capture, index: VectorStoreIndex, model: Models, server: ModelServer
) -> None:
    ranking = {"documents": [{"document_number": 1, "relevance": 9}]}
    server.reply(ranking)
    nodes = index.as_retriever().retrieve("old")
    StructuredLLMRerank(llm=model(), top_n=1).postprocess_nodes(nodes, query_str="old")

    assert "reranker StructuredLLMRerank\n  llm OpenAI" in captured.outline()


def test_a_filter_of_nodes_is_a_reranker_in_both_ways(captured: Capture, index: VectorStoreIndex) -> None:
    nodes = index.as_retriever().retrieve("old")
    filtering = SimilarityPostprocessor(similarity_cutoff=2.0)
    filtering.postprocess_nodes(nodes)
    asyncio.run(filtering.apostprocess_nodes(nodes))

    rerankers = [step for step in captured.steps if step.kind == "reranker"]
    assert [step.output for step in rerankers] == [[], []]


def test_an_engine_inside_an_engine_lies_below_it(
    captured: Capture, index: VectorStoreIndex, model: Models, server: ModelServer
) -> None:
    server.say('[{"choice": 1, "reason": "the only one"}]')
    tool = QueryEngineTool.from_defaults(index.as_query_engine(llm=model()), name="trees", description="Trees.")
    engine = RouterQueryEngine(
        llm=model(), selector=LLMSingleSelector.from_defaults(llm=model()), query_engine_tools=[tool]
    )
    engine.query("How old?")

    inner = "\n".join(f"  {line}" for line in QUERY.splitlines())
    assert captured.outline() == f"workflow RouterQueryEngine\n  llm OpenAI\n{inner}"


def test_an_engine_as_a_tool_lies_below_the_tool(
    captured: Capture, index: VectorStoreIndex, model: Models, server: ModelServer, agent: Callable[..., Any]
) -> None:
    tool = QueryEngineTool.from_defaults(index.as_query_engine(llm=model()), name="trees", description="Trees.")
    server.reply(asks_once(ToolCall("trees", {"input": "How old?"})), times=None)
    asyncio.run(_run(agent(tools=[tool])))

    inner = "\n".join(f"    {line}" for line in QUERY.splitlines())
    assert captured.outline() == f"agent counter\n  llm OpenAI\n  tool trees\n{inner}\n  llm OpenAI"
    assert captured.step("tool").output == "112 rings."


def test_a_failing_query_shows_where_it_failed(
    captured: Capture, index: VectorStoreIndex, model: Models, server: ModelServer
) -> None:
    server.fail(400, message="no such model")
    with pytest.raises(Exception, match="no such model"):
        index.as_query_engine(llm=model()).query("How old?")

    assert captured.outline().splitlines() == [
        "workflow RetrieverQueryEngine error",
        "  retriever VectorIndexRetriever",
        "    embedding OpenAIEmbedding",
        "  chain CompactAndRefine error",
        "    llm OpenAI error",
    ]


async def _run(agent: Any) -> Any:
    return await agent.run("How old?")
