"""ModelServer drives LangChain and LangGraph agents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from treerings.testing.model_script import Answer
from treerings.testing.model_server import ModelServer

pytest.importorskip("langchain")
pytest.importorskip("langchain_openai")

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def chat(server: ModelServer, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=server.base_url, api_key="unused", model="m", max_retries=0, **options)


def tokens(messages: list[Any]) -> tuple[int, int]:
    usages = [
        message.usage_metadata for message in messages if isinstance(message, AIMessage) and message.usage_metadata
    ]
    return sum(usage["input_tokens"] for usage in usages), sum(usage["output_tokens"] for usage in usages)


@pytest.mark.parametrize("responses_api", [False, True])
def test_an_agent_calls_its_tool_and_answers(server: ModelServer, responses_api: bool) -> None:
    server.when(tool_result="oak has 90 rings").say("It is ninety.")
    server.call_tool("measure", {"tree": "oak"})

    result = create_agent(chat(server, use_responses_api=responses_api), [measure]).invoke(
        {"messages": [("user", "How old is the oak?")]}
    )

    assert result["messages"][-1].text == "It is ninety."


@pytest.mark.parametrize("responses_api", [False, True])
def test_usage_in_an_agents_messages_is_the_usage_served(server: ModelServer, responses_api: bool) -> None:
    server.call_tools([("measure", {"tree": "oak"}), ("measure", {"tree": "elm"})]).say("Both ninety.")

    result = create_agent(chat(server, use_responses_api=responses_api), [measure]).invoke(
        {"messages": [("user", "How old are they?")]}
    )

    served = server.usage_served
    assert tokens(result["messages"]) == (served.input_tokens, served.output_tokens)
    assert served.calls == 2


async def test_an_async_agent_runs(server: ModelServer) -> None:
    server.call_tool("measure", {"tree": "oak"}).say("It is ninety.")

    result = await create_agent(chat(server), [measure]).ainvoke({"messages": [("user", "How old?")]})

    assert [message.type for message in result["messages"]] == ["human", "ai", "tool", "ai"]


@pytest.mark.parametrize("responses_api", [False, True])
def test_a_streamed_tool_call_is_put_together(server: ModelServer, responses_api: bool) -> None:
    server.call_tool("measure", {"tree": "a very old oak"})

    whole: Any = None
    for chunk in chat(server, use_responses_api=responses_api).bind_tools([measure]).stream("How old?"):
        whole = chunk if whole is None else whole + chunk

    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("measure", {"tree": "a very old oak"})]


@pytest.mark.parametrize("responses_api", [False, True])
def test_a_stream_reports_the_usage_served(server: ModelServer, responses_api: bool) -> None:
    server.say("It is ninety.", usage={"input_tokens": 40, "output_tokens": 9, "cache_read_tokens": 30})

    whole: Any = None
    for chunk in chat(server, use_responses_api=responses_api, stream_usage=True).stream("How old?"):
        whole = chunk if whole is None else whole + chunk

    assert whole.text == "It is ninety."
    assert (whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"]) == (40, 9)
    assert whole.usage_metadata["input_token_details"]["cache_read"] == 30


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output_is_parsed(server: ModelServer, method: Any) -> None:
    class Age(BaseModel):
        years: int

    if method == "function_calling":
        server.call_tool("Age", {"years": 90})
    else:
        server.say({"years": 90})

    assert chat(server).with_structured_output(Age, method=method).invoke("How old?") == Age(years=90)


def test_a_service_tier_reaches_langchain(server: ModelServer) -> None:
    server.say("x", usage={"service_tier": "priority", "input_tokens": 10, "output_tokens": 2, "cache_read_tokens": 4})

    usage = chat(server).invoke("How old?").usage_metadata

    assert usage is not None
    assert usage["input_token_details"]["priority_cache_read"] == 4  # type: ignore[typeddict-item]  # depends on the tier


def test_an_answer_without_usage_has_none_in_langchain(server: ModelServer) -> None:
    server.reply(Answer("x", report_usage=False))

    assert chat(server).invoke("How old?").usage_metadata is None


def test_texts_are_embedded(server: ModelServer) -> None:
    embeddings = OpenAIEmbeddings(base_url=server.base_url, api_key="unused", check_embedding_ctx_length=False)

    vectors = embeddings.embed_documents(["an oak", "an elm"])

    assert [len(vector) for vector in vectors] == [256, 256]
    assert server.usage_served.input_tokens == 4


def test_agents_at_once_are_told_apart_by_routes(server: ModelServer) -> None:
    for tree in ("oak", "elm", "ash"):
        route = server.when(contains=f"You know the {tree}.")
        route.call_tool("measure", {"tree": tree}).say(f"The {tree} is ninety.")
    agents = [
        create_agent(chat(server), [measure], system_prompt=f"You know the {tree}.").with_config(max_concurrency=3)
        for tree in ("oak", "elm", "ash")
    ]

    from langchain_core.runnables import RunnableParallel

    answers = RunnableParallel({str(index): agent for index, agent in enumerate(agents)}).invoke(
        {"messages": [("user", "How old?")]}
    )

    assert [answers[str(index)]["messages"][-1].text for index in range(3)] == [
        "The oak is ninety.",
        "The elm is ninety.",
        "The ash is ninety.",
    ]
