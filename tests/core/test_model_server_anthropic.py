"""ModelServer answers Anthropic's SDK as the provider would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from treerings.testing.model_request import ModelRequest
from treerings.testing.model_script import Answer, Reply, ToolCall
from treerings.testing.model_server import ModelServer
from treerings.testing.model_usage import UsageTotal

pytest.importorskip("anthropic")

from anthropic import (
    Anthropic,
    APIConnectionError,
    APIStatusError,
    AsyncAnthropic,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    beta_tool,
)

ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "How old is this oak?"}],
}
MEASURE = {"name": "measure", "description": "Count.", "input_schema": {"type": "object", "properties": {}}}
CACHED: Any = {"input_tokens": 900, "output_tokens": 20, "cache_read_tokens": 700, "cache_write_tokens": 150}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="unused", max_retries=0) as client:
        yield client


def blocks(message: Any) -> list[dict[str, Any]]:
    return [block.to_dict() for block in message.content]


def streamed(client: Anthropic, **options: Any) -> Any:
    with client.messages.stream(**{**ASK, **options}) as stream:
        return stream.get_final_message()


def test_answers_come_in_the_order_of_the_script(server: ModelServer, client: Anthropic) -> None:
    server.say("first").say("second")

    messages = [client.messages.create(**ASK) for _ in range(2)]

    assert [message.content[0].text for message in messages] == ["first", "second"]
    assert (messages[0].id, messages[0].stop_reason, messages[0].model) == ("msg_000001", "end_turn", ASK["model"])


def test_an_asynchronous_client_is_answered_whole_and_as_a_stream(server: ModelServer) -> None:
    server.say("Ninety years.", times=2)

    async def ask() -> list[str]:
        async with AsyncAnthropic(base_url=server.url, api_key="unused", max_retries=0) as client:
            whole = await client.messages.create(**ASK)
            async with client.messages.stream(**ASK) as stream:
                pieces = [piece async for piece in stream.text_stream]
        return [whole.content[0].text, *pieces]

    assert asyncio.run(ask()) == ["Ninety years.", "Ninety ", "years."]


@pytest.mark.parametrize("ask", [lambda client: client.messages.create(**ASK), streamed], ids=["whole", "streamed"])
def test_text_thoughts_and_tool_calls_are_blocks_of_one_message(
    server: ModelServer, client: Anthropic, ask: Any
) -> None:
    calls = [ToolCall("measure", {"tree": "oak"}), ToolCall("clock", id="mine")]
    server.reply(Answer("Let me look.", calls, reasoning="An oak, so rings."))

    message = ask(client)

    thinking, text, measure, clock = blocks(message)
    assert (thinking["thinking"], bool(thinking["signature"])) == ("An oak, so rings.", True)
    assert text == {"type": "text", "text": "Let me look."}
    assert measure == {"type": "tool_use", "id": "call_000001_0", "name": "measure", "input": {"tree": "oak"}}
    assert (clock["id"], clock["input"]) == ("mine", {})
    assert message.stop_reason == "tool_use"


def test_a_stream_has_anthropics_events_in_their_order(server: ModelServer, client: Anthropic) -> None:
    server.call_tool("measure", {"tree": "oak"}, text="Wait.")

    events = list(client.messages.create(**ASK, stream=True))

    kinds = [event.type for event in events if event.type != "ping"]
    assert [kind for index, kind in enumerate(kinds) if index == 0 or kind != kinds[index - 1]] == [
        "message_start",
        *["content_block_start", "content_block_delta", "content_block_stop"] * 2,
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.stop_reason is None
    assert "".join(getattr(getattr(event, "delta", None), "partial_json", "") for event in events) == '{"tree": "oak"}'


def test_broken_arguments_are_streamed_as_they_are(server: ModelServer, client: Anthropic) -> None:
    server.call_tool("measure", '{"tree": ')

    events = client.messages.create(**ASK, stream=True)

    assert "".join(getattr(getattr(event, "delta", None), "partial_json", "") for event in events) == '{"tree": '


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("cut", finish_reason="length"), "max_tokens"),
        (Answer("wait", finish_reason="pause_turn"), "pause_turn"),
        (Answer(refusal="No."), "refusal"),
    ],
)
def test_why_an_answer_ended_is_said_in_anthropics_words(
    server: ModelServer, client: Anthropic, answer: Answer, reason: str
) -> None:
    server.reply(answer)

    assert client.messages.create(**ASK).stop_reason == reason


@pytest.mark.parametrize("ask", [lambda client: client.messages.create(**ASK), streamed], ids=["whole", "streamed"])
def test_the_cache_is_reported_beside_the_input_and_served_within_it(
    server: ModelServer, client: Anthropic, ask: Any
) -> None:
    server.say("Ninety.", usage=CACHED)

    usage = ask(client).usage

    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (50, 700, 150)
    assert (usage.output_tokens, usage.cache_creation.ephemeral_5m_input_tokens) == (20, 150)
    assert server.usage_served == UsageTotal(900, 20, 700, 150, calls=1)


def test_thoughts_are_counted_within_the_output(server: ModelServer, client: Anthropic) -> None:
    server.say("Ninety.", usage={"input_tokens": 9, "output_tokens": 50, "reasoning_tokens": 40})

    usage = client.messages.create(**ASK).usage

    assert (usage.output_tokens, usage.output_tokens_details.thinking_tokens) == (50, 40)


def test_usage_that_is_not_given_is_counted_the_same_streamed_or_not(server: ModelServer, client: Anthropic) -> None:
    server.say("Ninety years.", times=2)

    whole, stream = client.messages.create(**ASK).usage, streamed(client).usage

    assert whole.input_tokens > 0
    assert (whole.input_tokens, whole.output_tokens) == (stream.input_tokens, stream.output_tokens)
    assert server.usage_served == UsageTotal(2 * whole.input_tokens, 2 * whole.output_tokens, calls=2)


def test_a_message_that_reports_no_usage_has_zeros(server: ModelServer, client: Anthropic) -> None:
    server.reply(Answer("Ninety.", report_usage=False), times=2)

    usages = [client.messages.create(**ASK).usage, streamed(client).usage]

    assert [(usage.input_tokens, usage.output_tokens) for usage in usages] == [(0, 0), (0, 0)]
    assert server.usage_served == UsageTotal(calls=2, calls_without_usage=2)


def test_cached_tokens_given_alone_are_within_the_counted_input(server: ModelServer, client: Anthropic) -> None:
    server.say("Ninety.", usage={"cache_read_tokens": 7000})

    usage = client.messages.create(**ASK).usage

    assert (usage.input_tokens, usage.cache_read_input_tokens) == (0, 7000)
    assert server.usage_served.input_tokens == 7000


def test_usage_with_more_cache_than_input_is_refused(server: ModelServer, client: Anthropic) -> None:
    server.say("Ninety.", usage={"input_tokens": 5, "cache_read_tokens": 700})

    with pytest.raises(InternalServerError, match="input_tokens=5 and parts of it that make 700"):
        client.messages.create(**ASK)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, AuthenticationError, "authentication_error"),
        (429, RateLimitError, "rate_limit_error"),
        (500, InternalServerError, "api_error"),
        (529, InternalServerError, "overloaded_error"),
    ],
)
def test_a_failure_has_anthropics_shape(
    server: ModelServer, client: Anthropic, status: int, error: type[APIStatusError], kind: str
) -> None:
    server.fail(status, message="slow down")

    with pytest.raises(error) as caught:
        client.messages.create(**ASK)

    assert caught.value.status_code == status
    assert caught.value.body == {"type": "error", "error": {"type": kind, "message": "slow down"}}


def test_the_sdk_retries_at_once_when_told_so(server: ModelServer, client: Anthropic) -> None:
    server.fail(529, retry_after=0).say("Ninety.")

    assert client.with_options(max_retries=1).messages.create(**ASK).content[0].text == "Ninety."


def test_a_stream_is_dropped_after_the_chunks_that_were_sent(server: ModelServer, client: Anthropic) -> None:
    server.drop(after_chunks=4, text="one two three")
    seen: list[str] = []

    with pytest.raises(Exception, match="closed"), client.messages.stream(**ASK) as stream:
        seen.extend(stream.text_stream)

    assert seen == ["one "]
    assert server.usage_served == UsageTotal()


def test_a_connection_is_dropped_before_the_status_line(server: ModelServer, client: Anthropic) -> None:
    server.drop()

    with pytest.raises(APIConnectionError):
        client.messages.create(**ASK)


def test_an_exhausted_script_says_so_in_anthropics_shape(server: ModelServer, client: Anthropic) -> None:
    with pytest.raises(BadRequestError, match="No reply is left for request 1, POST /v1/messages") as caught:
        client.with_options(max_retries=2).messages.create(**ASK)

    assert caught.value.body["error"]["type"] == "script_exhausted"  # type: ignore[index]
    assert len(server.requests) == 1


def test_counting_tokens_is_no_call(server: ModelServer, client: Anthropic) -> None:
    counted = client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"]).input_tokens
    assert server.usage_served == UsageTotal()

    server.say("Ninety.")
    assert client.messages.create(**ASK).usage.input_tokens == counted


def test_a_path_without_the_version_is_answered_too(server: ModelServer) -> None:
    import http.client

    server.say("Ninety.")
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("POST", "/messages", body=json.dumps(ASK))
    message = json.loads(connection.getresponse().read())
    connection.close()

    assert message["content"] == [{"type": "text", "text": "Ninety."}]


def test_a_request_has_the_view_of_every_other_format(server: ModelServer, client: Anthropic) -> None:
    server.say("Ninety.")
    asked: list[Any] = [
        *ASK["messages"],
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "An oak.", "signature": "x"},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t", "name": "measure", "input": {"tree": "oak"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "90 rings"}]}],
        },
    ]

    client.messages.create(**{**ASK, "messages": asked}, system="You know trees.", tools=[MEASURE])  # type: ignore[arg-type]

    [request] = server.requests
    assert [(turn.role, turn.text) for turn in request.turns] == [
        ("system", "You know trees."),
        ("user", "How old is this oak?"),
        ("assistant", 'Let me look.\nmeasure {"tree": "oak"}'),
        ("tool", "90 rings"),
    ]
    assert (request.endpoint, request.model, request.stream, request.tools) == (
        "messages",
        ASK["model"],
        False,
        ["measure"],
    )
    assert (request.last_text, request.tool_result) == ("How old is this oak?", "90 rings")
    assert "x-api-key" not in request.headers


def test_the_tool_runner_runs_its_loop_on_one_function_of_the_request() -> None:
    def answer(request: ModelRequest) -> Reply:
        if request.tool_result is None:
            return Answer(tool_calls=[ToolCall(request.tools[0], {"tree": "oak"})])
        return f"Counted: {request.tool_result}."

    @beta_tool
    def measure(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree} has 90 rings"

    with (
        ModelServer(default=answer) as server,
        Anthropic(base_url=server.url, api_key="unused", max_retries=0) as client,
    ):
        message = client.beta.messages.tool_runner(**ASK, tools=[measure]).until_done()

    assert message.content[0].text == "Counted: oak has 90 rings."  # type: ignore[union-attr]
    assert [(turn.role, turn.text) for turn in server.requests[-1].turns] == [
        ("user", "How old is this oak?"),
        ("assistant", 'measure {"tree": "oak"}'),
        ("tool", "oak has 90 rings"),
    ]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_thread_holds_the_conversation_of_a_client_that_sends_only_what_is_new(
    server: ModelServer, client: Anthropic, streaming: bool
) -> None:
    server.say("First.").say("Second.").say("Third.")
    options: Any = {**ASK, "stream": streaming, "system": "You know trees.", "tools": [MEASURE]}
    new: Any = {"max_tokens": 9, "model": ASK["model"], "stream": streaming}

    for number, said in enumerate(["How old?", "Sure?", "Really?"]):
        asked: Any = {"messages": [{"role": "user", "content": said}]}
        thread = {"type": "continue", "previous_message_id": f"msg_{number:06d}"} if number else {"type": "create"}
        answer: Any = client.messages.create(**{**(new if number else options), **asked}, extra_body={"thread": thread})
        list(answer)

    request = server.requests[-1]
    assert request.text == "You know trees.\nHow old?\nFirst.\nSure?\nSecond.\nReally?"
    assert (request.tools, len(request.body["messages"])) == (["measure"], 1)


def test_a_thread_that_is_not_known_is_answered_from_what_was_sent(server: ModelServer, client: Anthropic) -> None:
    server.say("Ninety.")
    thread = {"type": "continue", "previous_message_id": "msg_of_another_server"}

    client.messages.create(**ASK, extra_body={"thread": thread})

    assert server.requests[0].text == "How old is this oak?"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_langchain_agent_calls_its_tool_and_answers(server: ModelServer, streaming: bool) -> None:
    pytest.importorskip("langchain_anthropic")
    from langchain.agents import create_agent
    from langchain_anthropic import ChatAnthropic
    from langchain_core.tools import tool

    @tool
    def measure(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree} has 90 rings"

    server.when(tool_result="oak has 90 rings").say("It is ninety.")
    server.call_tool("measure", {"tree": "oak"}, usage=CACHED)
    model: Any = ChatAnthropic(
        model_name=ASK["model"], base_url=server.url, api_key="unused", max_retries=0, streaming=streaming
    )

    messages = create_agent(model, [measure]).invoke({"messages": [("user", "How old is the oak?")]})["messages"]

    assert messages[-1].text == "It is ninety."
    usages = [message.usage_metadata for message in messages if getattr(message, "usage_metadata", None)]
    served = server.usage_served
    assert sum(usage["input_tokens"] for usage in usages) == served.input_tokens
    assert sum(usage["output_tokens"] for usage in usages) == served.output_tokens
