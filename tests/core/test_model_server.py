"""ModelServer answers the OpenAI SDK as the provider would."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, AzureOpenAI, BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel
from treerings.testing.model_script import Answer, ModelServerError, ToolCall
from treerings.testing.model_server import ModelServer
from treerings.testing.model_usage import UsageTotal

MESSAGES: list[Any] = [{"role": "user", "content": "How old is this oak?"}]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="unused") as client:
        yield client


def ask(client: OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(model="m", messages=options.pop("messages", MESSAGES), **options)


def test_answers_come_in_the_order_of_the_script(server: ModelServer, client: OpenAI) -> None:
    server.say("first").say("second")

    assert [ask(client).choices[0].message.content for _ in range(2)] == ["first", "second"]


def test_a_tool_call_has_arguments_an_id_and_its_finish_reason(server: ModelServer, client: OpenAI) -> None:
    server.call_tool("measure", {"tree": "oak"})

    choice = ask(client).choices[0]

    call = choice.message.tool_calls[0]
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == (
        "call_000001_0",
        "measure",
        {"tree": "oak"},
    )
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)


def test_several_tools_are_called_in_one_answer(server: ModelServer, client: OpenAI) -> None:
    server.call_tools([("measure", {"tree": "oak"}), ToolCall("clock", id="mine")], text="Let me look.")

    message = ask(client).choices[0].message

    assert [(call.function.name, call.id) for call in message.tool_calls] == [
        ("measure", "call_000001_0"),
        ("clock", "mine"),
    ]
    assert message.content == "Let me look."


def test_arguments_given_as_text_are_sent_as_they_are(server: ModelServer, client: OpenAI) -> None:
    server.call_tool("measure", '{"tree": ')

    assert ask(client).choices[0].message.tool_calls[0].function.arguments == '{"tree": '


def test_usage_is_counted_from_the_text(server: ModelServer, client: OpenAI) -> None:
    server.say("About ninety years.")

    usage = ask(client).usage

    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (9, 4, 13)


def test_usage_can_be_given(server: ModelServer, client: OpenAI) -> None:
    server.say("x", usage={"input_tokens": 900, "output_tokens": 50, "cache_read_tokens": 800, "reasoning_tokens": 30})

    usage = ask(client).usage

    assert (usage.prompt_tokens, usage.completion_tokens) == (900, 50)
    assert usage.prompt_tokens_details.cached_tokens == 800
    assert usage.completion_tokens_details.reasoning_tokens == 30


def test_the_service_tier_can_be_given(server: ModelServer, client: OpenAI) -> None:
    server.say("x", usage={"service_tier": "flex"})

    assert ask(client).service_tier == "flex"


def test_an_answer_can_leave_usage_out(server: ModelServer, client: OpenAI) -> None:
    server.reply(Answer("x", report_usage=False))

    assert ask(client).usage is None


def test_n_choices_are_billed_together(server: ModelServer, client: OpenAI) -> None:
    server.reply(Answer("one", alternatives=["two two"]))

    completion = ask(client, n=3)

    assert [choice.message.content for choice in completion.choices] == ["one", "two two", "one"]
    assert completion.usage.completion_tokens == 4


def test_a_refusal_has_no_content(server: ModelServer, client: OpenAI) -> None:
    server.reply(Answer(refusal="I cannot cut it."))

    message = ask(client).choices[0].message

    assert (message.refusal, message.content) == ("I cannot cut it.", None)


def test_a_json_value_is_an_answer_for_structured_output(server: ModelServer, client: OpenAI) -> None:
    class Age(BaseModel):
        years: int

    server.say({"years": 90})

    parsed = client.chat.completions.parse(model="m", messages=MESSAGES, response_format=Age)

    assert parsed.choices[0].message.parsed == Age(years=90)


def test_a_reply_can_be_a_function_of_the_request(server: ModelServer, client: OpenAI) -> None:
    server.reply(lambda request: f"{request.model} heard {request.last_text}")

    assert ask(client).choices[0].message.content == "m heard How old is this oak?"


def test_a_failing_function_is_told_to_the_client(server: ModelServer, client: OpenAI) -> None:
    server.reply(lambda request: request.body["no such key"])

    with pytest.raises(Exception, match="KeyError while answering POST /v1/chat/completions"):
        ask(client)


def test_a_reply_can_be_given_several_times(server: ModelServer, client: OpenAI) -> None:
    server.say("again", times=2).say("last")

    assert [ask(client).choices[0].message.content for _ in range(3)] == ["again", "again", "last"]


def test_echo_repeats_the_users_text() -> None:
    with ModelServer(default="echo") as server, OpenAI(base_url=server.base_url, api_key="unused") as client:
        assert ask(client).choices[0].message.content == "How old is this oak?"


def test_a_default_answers_what_is_not_scripted() -> None:
    with ModelServer(default="later") as server, OpenAI(base_url=server.base_url, api_key="unused") as client:
        server.say("now")

        assert [ask(client).choices[0].message.content for _ in range(3)] == ["now", "later", "later"]


def test_a_route_by_model_answers_only_that_model(server: ModelServer, client: OpenAI) -> None:
    server.say("for anyone")
    server.when(model="small").say("for small")

    other, small = (client.chat.completions.create(model=name, messages=MESSAGES) for name in ("large", "small"))

    assert [other.choices[0].message.content, small.choices[0].message.content] == ["for anyone", "for small"]


def test_a_route_by_content_sees_the_system_prompt(server: ModelServer, client: OpenAI) -> None:
    server.when(contains="You are a forester").say("Ninety.")

    answer = ask(client, messages=[{"role": "system", "content": "You are a forester."}, *MESSAGES])

    assert answer.choices[0].message.content == "Ninety."


def test_routes_by_tool_result_run_a_loop_in_any_order(server: ModelServer, client: OpenAI) -> None:
    server.when(tool_result="90").say("Ninety years.", times=None)
    server.when(tool_result=False).call_tool("measure", {}, id="c1", times=None)
    call = {"id": "c1", "type": "function", "function": {"name": "measure", "arguments": "{}"}}
    after = [
        *MESSAGES,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "90"},
    ]

    assert ask(client, messages=after).choices[0].message.content == "Ninety years."
    assert ask(client).choices[0].message.tool_calls[0].id == "c1"


def test_a_route_by_predicate_sees_the_whole_request(server: ModelServer, client: OpenAI) -> None:
    server.when(lambda request: request.data.get("temperature") == 0).say("cold")

    assert ask(client, temperature=0).choices[0].message.content == "cold"


def test_an_exhausted_script_says_what_was_asked_and_is_not_retried(server: ModelServer, client: OpenAI) -> None:
    with pytest.raises(
        BadRequestError, match=r"No reply is left for request 1.*m\\?'.*How old is this oak.*server\.say"
    ):
        ask(client)

    assert len(server.requests) == 1


def test_an_exhausted_script_has_its_own_error_code(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(client)

    assert caught.value.code == "script_exhausted"


def test_pending_counts_the_replies_that_wait(server: ModelServer, client: OpenAI) -> None:
    server.say("a").say("b", times=3).say("always", times=None)
    ask(client)

    assert server.pending == 3


def test_an_unknown_path_is_not_found(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="This server has no POST /v1/images/generations"):
        client.images.generate(prompt="an oak", model="m")


def test_a_body_that_is_not_json_is_a_bad_request(server: ModelServer) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("POST", "/v1/chat/completions", body=b"{oak")
    response = connection.getresponse()
    error = json.loads(response.read())["error"]
    connection.close()

    assert (response.status, error["code"], error["type"]) == (400, "invalid_json", "invalid_request_error")


def test_requests_show_what_was_received_without_keys(server: ModelServer, client: OpenAI) -> None:
    server.say("x")
    ask(client, tools=[{"type": "function", "function": {"name": "measure", "parameters": {}}}])

    [request] = server.requests

    assert (request.method, request.path, request.endpoint) == ("POST", "/v1/chat/completions", "chat/completions")
    assert (request.model, request.stream, request.tools) == ("m", False, ["measure"])
    assert "authorization" not in request.headers


def test_requests_are_bounded() -> None:
    with ModelServer(default="echo", keep_requests=2) as server:
        with OpenAI(base_url=server.base_url, api_key="unused") as client:
            for text in "abc":
                ask(client, messages=[{"role": "user", "content": text}])

        assert [request.last_text for request in server.requests] == ["b", "c"]


def test_usage_served_adds_up_what_the_answers_reported(server: ModelServer, client: OpenAI) -> None:
    server.say("x", usage={"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 60})
    server.say("y", usage={"input_tokens": 50, "output_tokens": 5, "reasoning_tokens": 4})
    ask(client)
    ask(client)

    assert server.usage_served == UsageTotal(150, 15, cache_read_tokens=60, reasoning_tokens=4, calls=2)


async def test_the_async_client_is_answered(server: ModelServer) -> None:
    server.say("async")

    async with AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:
        completion = await client.chat.completions.create(model="m", messages=MESSAGES)

    assert completion.choices[0].message.content == "async"


def test_azure_paths_name_the_deployment(server: ModelServer) -> None:
    server.when(model="my-deployment").say("azure")

    with AzureOpenAI(
        base_url=f"{server.url}/openai/deployments/my-deployment", api_key="unused", api_version="2024-10-21"
    ) as client:
        completion = client.chat.completions.create(model="my-deployment", messages=MESSAGES)

    assert completion.choices[0].message.content == "azure"


def test_legacy_completions_answer_every_prompt(server: ModelServer, client: OpenAI) -> None:
    server.say("wood")

    completion = client.completions.create(model="m", prompt=["An oak is", "A pine is"])

    assert [choice.text for choice in completion.choices] == ["wood", "wood"]


def test_embeddings_need_no_script_and_repeat(client: OpenAI) -> None:
    first, again = (client.embeddings.create(model="e", input="old oak") for _ in range(2))

    assert first.data[0].embedding == again.data[0].embedding
    assert first.usage.prompt_tokens == 2


def test_embeddings_of_like_texts_are_near(client: OpenAI) -> None:
    texts = ["the old oak tree", "an old oak tree", "interest rates rise"]
    near, same, far = (item.embedding for item in client.embeddings.create(model="e", input=texts).data)

    assert dot(near, same) > 0.6 > 0.3 > dot(near, far)


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_have_the_encoding_and_dimensions_asked_for(server: ModelServer, encoding: str) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    body = {"model": "e", "input": "oak", "dimensions": 8, "encoding_format": encoding}
    connection.request("POST", "/v1/embeddings", body=json.dumps(body))
    vector = json.loads(connection.getresponse().read())["data"][0]["embedding"]
    connection.close()

    assert len(vector) == 8 if encoding == "float" else isinstance(vector, str)


def test_embeddings_take_token_lists(client: OpenAI) -> None:
    assert client.embeddings.create(model="e", input=[[1, 2, 3], [4]]).usage.prompt_tokens == 4


def test_models_and_moderations_are_answered(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["scripted"]
    assert client.models.retrieve("gpt-x").id == "gpt-x"
    assert client.moderations.create(input=["a", "b"]).results[1].flagged is False


def test_a_reply_of_no_known_kind_is_refused_at_once(server: ModelServer) -> None:
    with pytest.raises(ModelServerError, match="A reply is text"):
        server.reply(7)  # type: ignore[arg-type]  # the mistake under test


def test_times_below_one_is_refused(server: ModelServer) -> None:
    with pytest.raises(ModelServerError, match="times=0 answers nothing"):
        server.say("x", times=0)
