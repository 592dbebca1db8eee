"""Recorded calls are read, totalled, and played back to real clients."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI, RateLimitError
from treerings.testing import recordings
from treerings.testing.model_script import ModelServerError
from treerings.testing.model_server import ModelServer
from treerings.testing.model_usage import UsageTotal
from treerings.testing.recordings import Call
from treerings.usage import Usage

FOLDER = recordings.folder()
needs_recordings = pytest.mark.skipif(FOLDER is None, reason="no recordings beside the repository")
CHAT = "https://api.openai.com/v1/chat/completions"
MESSAGES: list[Any] = [{"role": "user", "content": "How old?"}]


def completion(text: str, tokens: tuple[int, int] = (7, 3)) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
        ],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }


def call(question: str, answer: str) -> Call:
    return Call(CHAT, 200, {"model": "m", "messages": [{"role": "user", "content": question}]}, completion(answer))


STREAMED = "".join(
    f"data: {json.dumps(chunk)}\n\n"
    for chunk in (
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "Ninety "}}]},
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "years."}, "finish_reason": "stop"}]},
        {"id": "c", "model": "m", "choices": [], "usage": completion("", (7, 3))["usage"]},
    )
)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        yield client


def ask(client: OpenAI, question: str = "How old?", **options: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": question}], **options)


def test_calls_are_played_in_their_order(server: ModelServer, client: OpenAI) -> None:
    server.play([call("a", "first"), call("b", "second")])

    assert [ask(client).choices[0].message.content for _ in range(2)] == ["first", "second"]


def test_calls_are_played_by_their_content(server: ModelServer, client: OpenAI) -> None:
    server.play([call("a", "to a"), call("b", "to b")], match="content")

    assert [ask(client, question).choices[0].message.content for question in "bab"] == ["to b", "to a", "to b"]


def test_a_recording_is_a_file_of_json(server: ModelServer, client: OpenAI, tmp_path: Path) -> None:
    entry = {"url": CHAT, "status": 200, "request": {}, "response": completion("from a file")}
    (tmp_path / "one.json").write_text(json.dumps([entry]))

    server.play(tmp_path / "one.json")

    assert ask(client).choices[0].message.content == "from a file"


def test_a_recording_at_its_end_says_so(server: ModelServer, client: OpenAI) -> None:
    server.play([call("a", "only")])
    ask(client)

    with pytest.raises(BadRequestError, match="Of 1 recorded calls to chat/completions 1 are played") as caught:
        ask(client)

    assert caught.value.code == "script_exhausted"


def test_an_unknown_conversation_says_so(server: ModelServer, client: OpenAI) -> None:
    server.play([call("a", "to a")], match="content")

    with pytest.raises(BadRequestError, match="none has this conversation"):
        ask(client, "z")


def test_a_scripted_failure_goes_before_the_recording(server: ModelServer, client: OpenAI) -> None:
    server.play([call("a", "recorded")])
    server.fail(429, retry_after=0)

    assert ask(client.with_options(max_retries=1)).choices[0].message.content == "recorded"


def test_a_recorded_failure_is_a_failure(server: ModelServer, client: OpenAI) -> None:
    server.play([Call(CHAT, 429, {}, {"error": {"message": "slow down"}})])

    with pytest.raises(RateLimitError, match="slow down"):
        ask(client)


def test_a_whole_answer_is_streamed_to_a_client_that_streams(server: ModelServer, client: OpenAI) -> None:
    server.play([call("a", "Ninety years.")])

    with ask(client, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Ninety years."
    assert chunks[-1].usage.prompt_tokens == 7


def test_a_recorded_stream_is_put_together_for_a_client_that_does_not_stream(
    server: ModelServer, client: OpenAI
) -> None:
    server.play([Call(CHAT, 200, {"stream": True}, STREAMED)])

    answer = ask(client)

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Ninety years.", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 3)


def test_a_recorded_stream_is_streamed_as_it_was(server: ModelServer, client: OpenAI) -> None:
    server.play([Call(CHAT, 200, {"stream": True}, STREAMED)])

    with ask(client, stream=True) as stream:
        texts = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]

    assert texts == ["", "Ninety ", "years."]


def test_usage_served_is_the_usage_recorded(server: ModelServer, client: OpenAI) -> None:
    played = server.play([call("a", "first"), Call(CHAT, 200, {}, STREAMED)])
    ask(client)
    ask(client)

    assert server.usage_served == recordings.usage_total(played) == UsageTotal(14, 6, calls=2)


def test_a_whole_anthropic_message_is_played_as_a_stream_to_a_client_that_streams(server: ModelServer) -> None:
    anthropic = pytest.importorskip("anthropic")
    recorded = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [
            {"type": "text", "text": "Let me count."},
            {"type": "tool_use", "id": "toolu_1", "name": "measure", "input": {"tree": "oak"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 7},
    }
    played = server.play([Call("https://api.anthropic.com/v1/messages", 200, {}, recorded)])

    with (
        anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream,
    ):
        message = stream.get_final_message()

    told = message.to_dict()
    assert {key: told[key] for key in ("content", "stop_reason", "usage")} == {
        key: recorded[key] for key in ("content", "stop_reason", "usage")
    }
    assert server.usage_served == recordings.usage_total(played) == UsageTotal(100, 7, cache_read_tokens=90, calls=1)


def test_an_unknown_way_to_match_is_refused(server: ModelServer) -> None:
    with pytest.raises(ModelServerError, match="Use 'order' or 'content'"):
        server.play([], match="best")  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize(
    ("url", "provider", "endpoint"),
    [
        (CHAT, "openai", "chat/completions"),
        ("https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", "azure", "chat/completions"),
        ("https://x.openai.azure.com/openai/v1/responses", "azure", "responses"),
        ("https://api.groq.com/openai/v1/chat/completions", "groq", "chat/completions"),
        ("https://api.anthropic.com/v1/messages", "anthropic", "messages"),
        ("https://api.openai.com/v1/threads/t/messages", "openai", "v1/threads/t/messages"),
        ("https://generativelanguage.googleapis.com/v1beta/models/g:generateContent", "google", "generateContent"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/a.b-v1%3A0/converse", "bedrock", "converse"),
        ("http://127.0.0.1:11434/api/chat", "ollama", "api/chat"),
    ],
)
def test_a_call_knows_its_provider_and_endpoint(url: str, provider: str, endpoint: str) -> None:
    recorded = Call(url, 200, {}, {})

    assert (recorded.provider, recorded.endpoint) == (provider, endpoint)


def test_the_folder_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TREERINGS_RECORDINGS", str(tmp_path))

    assert recordings.folder() == tmp_path


def test_a_folder_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TREERINGS_RECORDINGS", str(tmp_path / "missing"))

    assert recordings.folder() is None


def test_usage_beside_the_input_and_the_output_is_in_the_totals() -> None:
    anthropic = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 5,
    }
    google = {"promptTokenCount": 8, "candidatesTokenCount": 2, "thoughtsTokenCount": 30}
    calls = [
        Call("https://api.anthropic.com/v1/messages", 200, {}, {"usage": anthropic}),
        Call("https://x.googleapis.com/v1/models/g:generateContent", 200, {}, {"usageMetadata": google}),
    ]

    assert recordings.usage_total(calls) == UsageTotal(138, 37, 100, 20, 30, calls=2)


def test_answers_without_usage_and_failures_are_told_apart() -> None:
    calls = [Call(CHAT, 200, {}, {"choices": []}), Call(CHAT, 500, {}, {"error": {}})]

    assert recordings.usage_total(calls) == UsageTotal(calls=1, calls_without_usage=1)


@needs_recordings
def test_the_totals_agree_with_the_usage_normaliser_on_every_recording() -> None:
    assert FOLDER is not None
    for path in sorted(FOLDER.glob("*/*.json")):
        for recorded in recordings.load(path):
            response = recorded.response
            usage = Usage.from_stream(response) if isinstance(response, str) else Usage.from_provider(response)
            total = recordings.usage_total([recorded])
            assert (total.input_tokens, total.output_tokens) == (usage.input_tokens or 0, usage.output_tokens or 0), (
                path
            )


@needs_recordings
def test_every_recorded_call_can_be_played() -> None:
    assert FOLDER is not None
    calls = [call for path in sorted(FOLDER.glob("*/*.json")) for call in recordings.load(path)]
    with ModelServer() as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        server.play(calls)
        for recorded in calls:
            body = json.dumps(recorded.request)
            connection.request("POST", "/" + recorded.url.split("/", 3)[3], body=body)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == recorded.status, (recorded.url, content)
        connection.close()

        assert server.usage_served == recordings.usage_total(calls)
