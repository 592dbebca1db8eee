"""ModelServer answers Google's Gen AI SDK as the provider would."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from treerings.testing.model_request import ModelRequest
from treerings.testing.model_script import Answer, Reply, ToolCall
from treerings.testing.model_server import ModelServer
from treerings.testing.model_usage import UsageTotal

pytest.importorskip("google.genai")

from google.genai import Client, errors, types

MODEL = "gemini-2.5-flash"
ASK: dict[str, Any] = {"model": MODEL, "contents": "How old is this oak?"}
CACHED: Any = {"input_tokens": 900, "output_tokens": 60, "cache_read_tokens": 700, "reasoning_tokens": 40}


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def client_of(server: ModelServer) -> Client:
    return Client(api_key="secret", vertexai=False, http_options=types.HttpOptions(base_url=server.url))


@pytest.fixture
def client(server: ModelServer) -> Iterator[Client]:
    client = client_of(server)
    yield client
    client.close()


def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


def count_and_answer(request: ModelRequest) -> Reply:
    """Call the first tool, then answer with its result."""
    if request.tool_result is None:
        return Answer(tool_calls=[ToolCall(request.tools[0], {"tree": "oak"})])
    return f"Counted: {request.tool_result}."


def posted(server: ModelServer, path: str, body: object) -> tuple[str, Any]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("POST", path, body=json.dumps(body))
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.getheader("content-type", ""), answer


def test_answers_come_in_the_order_of_the_script(server: ModelServer, client: Client) -> None:
    server.say("first").say("second")

    responses = [client.models.generate_content(**ASK) for _ in range(2)]

    assert [response.text for response in responses] == ["first", "second"]
    assert (responses[0].model_version, responses[0].response_id) == (MODEL, "resp_000001")
    assert responses[0].candidates[0].finish_reason == types.FinishReason.STOP  # type: ignore[index]


def test_a_stream_sends_pieces_and_says_at_its_end_why_it_ends(server: ModelServer, client: Client) -> None:
    server.say("Ninety full years.")

    chunks: list[Any] = list(client.models.generate_content_stream(**ASK))

    assert [chunk.text for chunk in chunks] == ["Ninety ", "full ", "years."]
    assert [chunk.candidates[0].finish_reason for chunk in chunks] == [None, None, types.FinishReason.STOP]


def test_an_asynchronous_client_is_answered_whole_and_as_a_stream(server: ModelServer) -> None:
    server.say("Ninety years.", times=2)

    async def ask() -> list[str | None]:
        async with client_of(server).aio as client:
            whole = await client.models.generate_content(**ASK)
            stream = await client.models.generate_content_stream(**ASK)
            return [whole.text, *[chunk.text async for chunk in stream]]

    assert asyncio.run(ask()) == ["Ninety years.", "Ninety ", "years."]


def whole_parts(client: Client) -> list[types.Part]:
    return client.models.generate_content(**ASK).candidates[0].content.parts  # type: ignore[index, union-attr, return-value]


def streamed_parts(client: Client) -> list[types.Part]:
    return [
        part
        for chunk in client.models.generate_content_stream(**ASK)
        for part in chunk.candidates[0].content.parts  # type: ignore[index, union-attr]
    ]


@pytest.mark.parametrize("ask", [whole_parts, streamed_parts])
def test_text_thoughts_and_function_calls_are_parts_of_one_answer(
    server: ModelServer, client: Client, ask: Any
) -> None:
    calls = [ToolCall("measure", {"tree": "oak"}), ToolCall("clock", id="mine")]
    server.reply(Answer("Look.", calls, reasoning="Rings."))

    parts = [part.model_dump(exclude_none=True) for part in ask(client)]

    assert parts == [
        {"text": "Rings.", "thought": True},
        {"text": "Look."},
        {"function_call": {"name": "measure", "args": {"tree": "oak"}}},
        {"function_call": {"id": "mine", "name": "clock", "args": {}}},
    ]


def test_every_candidate_asked_for_is_answered(server: ModelServer, client: Client) -> None:
    server.reply(Answer("first", alternatives=["second"]), times=2)
    config = types.GenerateContentConfig(candidate_count=2)

    whole: Any = client.models.generate_content(**ASK, config=config)
    stream: list[Any] = list(client.models.generate_content_stream(**ASK, config=config))

    assert [candidate.content.parts[0].text for candidate in whole.candidates] == ["first", "second"]
    assert [(chunk.candidates[0].index, chunk.candidates[0].content.parts[0].text) for chunk in stream] == [
        (0, "first"),
        (1, "second"),
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("cut", finish_reason="length"), "MAX_TOKENS"),
        (Answer("broken", finish_reason="MALFORMED_FUNCTION_CALL"), "MALFORMED_FUNCTION_CALL"),
        (Answer(refusal="No."), "SAFETY"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_why_an_answer_ended_is_said_in_googles_words(
    server: ModelServer, client: Client, answer: Answer, reason: str, streaming: bool
) -> None:
    server.reply(answer)

    last: Any = (
        list(client.models.generate_content_stream(**ASK))[-1] if streaming else client.models.generate_content(**ASK)
    )

    assert last.candidates[0].finish_reason.value == reason


@pytest.mark.parametrize("streaming", [False, True])
def test_thoughts_are_reported_beside_the_answer_and_served_within_the_output(
    server: ModelServer, client: Client, streaming: bool
) -> None:
    server.say("Ninety full years.", usage=CACHED)

    last: Any = (
        list(client.models.generate_content_stream(**ASK))[-1] if streaming else client.models.generate_content(**ASK)
    )

    usage = last.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (900, 700)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (20, 40, 960)
    assert server.usage_served == UsageTotal(900, 60, cache_read_tokens=700, reasoning_tokens=40, calls=1)


def test_tokens_of_sound_are_reported_by_modality(server: ModelServer, client: Client) -> None:
    server.say("Ninety.", usage={"input_tokens": 100, "input_audio_tokens": 80, "output_tokens": 5})

    details: Any = client.models.generate_content(**ASK).usage_metadata.prompt_tokens_details  # type: ignore[union-attr]

    assert {detail.modality.value: detail.token_count for detail in details} == {"TEXT": 20, "AUDIO": 80}


def test_what_is_written_to_the_cache_has_no_number(server: ModelServer, client: Client) -> None:
    server.say("Ninety.", usage={"input_tokens": 9, "output_tokens": 1, "cache_write_tokens": 5})
    client.models.generate_content(**ASK)

    assert server.usage_served == UsageTotal(9, 1, calls=1)


@pytest.mark.parametrize("streaming", [False, True])
def test_usage_can_be_left_out(server: ModelServer, client: Client, streaming: bool) -> None:
    server.reply(Answer("Ninety.", report_usage=False))

    last: Any = (
        list(client.models.generate_content_stream(**ASK))[-1] if streaming else client.models.generate_content(**ASK)
    )

    assert last.usage_metadata is None
    assert server.usage_served == UsageTotal(calls=1, calls_without_usage=1)


def test_usage_with_more_thoughts_than_output_is_refused(server: ModelServer, client: Client) -> None:
    server.say("Ninety.", usage={"output_tokens": 5, "reasoning_tokens": 40})

    with pytest.raises(errors.ServerError, match="output_tokens=5 and parts of it that make 40"):
        client.models.generate_content(**ASK)


@pytest.mark.parametrize(
    ("status", "error", "name"),
    [
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
        (503, errors.ServerError, "UNAVAILABLE"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_failure_has_googles_shape(
    server: ModelServer, client: Client, status: int, error: type[errors.APIError], name: str, streaming: bool
) -> None:
    server.fail(status, message="slow down")

    with pytest.raises(error) as caught:
        list(client.models.generate_content_stream(**ASK)) if streaming else client.models.generate_content(**ASK)

    assert (caught.value.code, caught.value.status, caught.value.message) == (status, name, "slow down")


def test_a_stream_is_dropped_after_the_chunks_that_were_sent(server: ModelServer, client: Client) -> None:
    server.drop(after_chunks=1, text="one two three")
    seen: list[str | None] = []

    with pytest.raises(Exception, match="closed"):
        seen.extend(chunk.text for chunk in client.models.generate_content_stream(**ASK))

    assert seen == ["one "]
    assert server.usage_served == UsageTotal()


def test_an_exhausted_script_says_so_in_googles_shape(client: Client) -> None:
    with pytest.raises(errors.ClientError, match="No reply is left for request 1") as caught:
        client.models.generate_content(**ASK)

    assert caught.value.status == "script_exhausted"


def test_a_stream_without_events_is_a_json_list(server: ModelServer) -> None:
    server.say("Ninety years.")

    kind, chunks = posted(server, f"/v1beta/models/{MODEL}:streamGenerateContent", {"contents": [{"parts": []}]})

    assert kind == "application/json"
    assert [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks] == ["Ninety ", "years."]


def test_a_request_in_snake_case_has_the_same_view(server: ModelServer) -> None:
    server.say("Ninety.")
    asked = {
        "system_instruction": {"parts": [{"text": "You know trees."}]},
        "contents": [{"parts": [{"text": "oak"}]}],
        "tools": [{"function_declarations": [{"name": "measure"}]}],
    }

    posted(server, f"/v1beta/models/{MODEL}:generateContent", asked)

    assert (server.requests[0].text, server.requests[0].tools) == ("You know trees.\noak", ["measure"])


def test_vertex_ais_paths_are_answered_too(server: ModelServer) -> None:
    server.say("Ninety.")
    path = f"/v1beta1/projects/p/locations/l/publishers/google/models/{MODEL}:generateContent"

    _, response = posted(server, path, {"contents": [{"role": "user", "parts": [{"text": "oak"}]}]})

    assert response["candidates"][0]["content"]["parts"] == [{"text": "Ninety."}]
    assert (server.requests[0].model, server.requests[0].last_text) == (MODEL, "oak")


def test_texts_with_words_in_common_have_embeddings_near_each_other(server: ModelServer, client: Client) -> None:
    contents: Any = ["an oak of ninety rings", "an oak of many rings", "rain fell"]

    response = client.models.embed_content(
        model="gemini-embedding-001", contents=contents, config=types.EmbedContentConfig(output_dimensionality=64)
    )

    first, near, far = [embedding.values or [] for embedding in response.embeddings or ()]
    assert len(first) == 64
    product = lambda one, other: sum(a * b for a, b in zip(one, other, strict=True))  # noqa: E731
    assert product(first, near) > product(first, far)
    assert server.usage_served == UsageTotal(calls=1, calls_without_usage=1)


def test_one_text_has_one_embedding(server: ModelServer) -> None:
    content = {"content": {"parts": [{"text": "oak"}]}, "outputDimensionality": 8}

    _, response = posted(server, "/v1beta/models/gemini-embedding-001:embedContent", content)

    assert len(response["embedding"]["values"]) == 8


def test_counting_tokens_is_no_call(server: ModelServer, client: Client) -> None:
    counted = client.models.count_tokens(**ASK).total_tokens
    assert server.usage_served == UsageTotal()

    server.say("Ninety.")
    assert client.models.generate_content(**ASK).usage_metadata.prompt_token_count == counted  # type: ignore[union-attr]


def test_automatic_function_calling_runs_on_one_function_of_the_request() -> None:
    with ModelServer(default=count_and_answer) as server:
        client = client_of(server)
        config = types.GenerateContentConfig(tools=[measure], system_instruction="You know trees.")
        response = client.models.generate_content(**ASK, config=config)
        client.close()

    assert response.text == "Counted: oak has 90 rings."
    first, last = server.requests
    assert (first.endpoint, first.model, first.stream, first.tools) == ("generateContent", MODEL, False, ["measure"])
    assert [(turn.role, turn.text) for turn in last.turns] == [
        ("system", "You know trees."),
        ("user", "How old is this oak?"),
        ("assistant", 'measure {"tree": "oak"}'),
        ("tool", "oak has 90 rings"),
    ]
    assert (last.last_text, last.tool_result) == ("How old is this oak?", "oak has 90 rings")
    assert "x-goog-api-key" not in last.headers


@pytest.mark.parametrize("streaming", [False, True])
def test_a_chat_keeps_its_history_and_calls_functions(streaming: bool) -> None:
    with ModelServer(default=count_and_answer) as server:
        client = client_of(server)
        chat = client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[measure]))
        said = (
            "".join(chunk.text or "" for chunk in chat.send_message_stream("How old?"))
            if streaming
            else chat.send_message("How old?").text
        )
        client.close()

    assert said == "Counted: oak has 90 rings."
    assert [turn.role for turn in server.requests[-1].turns] == ["user", "assistant", "tool"]
    assert server.requests[-1].stream is streaming


def test_thoughts_that_are_given_back_are_no_part_of_the_conversation(server: ModelServer, client: Client) -> None:
    server.reply(Answer("Ninety.", reasoning="An oak.")).say("Yes.")
    chat = client.chats.create(model=MODEL)

    chat.send_message("How old?")
    chat.send_message("Sure?")

    assert server.requests[-1].text == "How old?\nNinety.\nSure?"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_langchain_agent_calls_its_tool_and_answers(server: ModelServer, streaming: bool) -> None:
    pytest.importorskip("langchain_google_genai")
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_google_genai import ChatGoogleGenerativeAI

    server.when(tool_result="oak has 90 rings").say("It is ninety.")
    server.call_tool("measure", {"tree": "oak"}, usage=CACHED)
    model: Any = ChatGoogleGenerativeAI(
        model=MODEL, base_url=server.url, google_api_key="unused", max_retries=1, vertexai=False, streaming=streaming
    )

    asked: Any = {"messages": [("user", "How old is the oak?")]}
    messages = create_agent(model, [tool(measure)]).invoke(asked)["messages"]

    assert messages[-1].text == "It is ninety."
    usages = [message.usage_metadata for message in messages if getattr(message, "usage_metadata", None)]
    served = server.usage_served
    assert sum(usage["input_tokens"] for usage in usages) == served.input_tokens
    assert sum(usage["output_tokens"] for usage in usages) == served.output_tokens


def test_langchains_embeddings_are_answered(server: ModelServer) -> None:
    pytest.importorskip("langchain_google_genai")
    from langchain_google_genai import GoogleGenerativeAIEmbeddings

    embeddings: Any = GoogleGenerativeAIEmbeddings(
        model="gemini-embedding-001", base_url=server.url, google_api_key="unused", vertexai=False
    )

    assert len(embeddings.embed_documents(["oak", "elm"])) == 2
