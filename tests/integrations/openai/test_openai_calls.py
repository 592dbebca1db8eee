"""Calls of OpenAI's SDK as steps: what is asked, what is answered, what it used."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
from typing import Any

import httpx
import openai
import pytest
import treerings
from openai import OpenAI
from openai_asking import Answering, Asking
from pydantic import BaseModel
from treerings import Kind
from treerings.testing import Answer, Capture, Failure, ModelServer, ToolCall

MESSAGES: list[Any] = [{"role": "user", "content": "How old is the oak?"}]
TOOL: Any = {"type": "function", "function": {"name": "ring_count", "parameters": {"type": "object"}}}


def test_a_chat_is_a_step_with_usage_model_and_cost(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.say("112 years.")
    ask("chat.completions.create", model="gpt-4o-mini", messages=MESSAGES, temperature=0.5, user="u-7")
    step = captured.step("llm")
    assert (step.name, step.source, step.status, step.model) == ("chat.completions", "openai", "ok", "gpt-4o-mini")
    assert step.input == MESSAGES
    assert step.output == {"role": "assistant", "content": "112 years."}
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) == (
        server.usage_served.input_tokens,
        server.usage_served.output_tokens,
    )
    assert not step.estimated
    assert step.cost_usd is not None
    assert step.attributes["request"] == {"temperature": 0.5}
    assert step.attributes["finish_reason"] == "stop"
    assert step.attributes["response_id"].startswith("chatcmpl-")


def test_tool_calls_are_in_the_output_and_tools_in_the_request(
    captured: Capture, ask: Asking, server: ModelServer
) -> None:
    server.reply(Answer(tool_calls=[ToolCall("ring_count", {"tree": "oak"})]))
    ask("chat.completions.create", model="gpt-4o-mini", messages=MESSAGES, tools=[TOOL], tool_choice="auto")
    step = captured.step("llm")
    [call] = step.output["tool_calls"]
    assert (call["name"], call["args"]) == ("ring_count", {"tree": "oak"})
    assert step.attributes["request"] == {"tools": ["ring_count"], "tool_choice": "auto"}
    assert step.attributes["finish_reason"] == "tool_calls"


def test_a_call_is_below_the_step_that_makes_it(captured: Capture, ask: Asking) -> None:
    with treerings.step("agent", "forester"):
        ask("chat.completions.create", model="gpt-4o-mini", messages=MESSAGES)
        ask("embeddings.create", model="text-embedding-3-small", input=["oak", "elm"])
    assert captured.outline() == "agent forester\n  llm chat.completions\n  embedding embeddings"


class Age(BaseModel):
    years: int


def test_parsed_answers_are_recorded_as_they_came(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.say('{"years": 112}')
    server.say('{"years": 113}')
    chat = ask("chat.completions.parse", model="gpt-4o-mini", messages=MESSAGES, response_format=Age)
    response = ask("responses.parse", model="gpt-4o-mini", input="How old?", text_format=Age)
    assert chat.choices[0].message.parsed == Age(years=112)
    assert response.output_parsed == Age(years=113)
    assert [step.output["content"] for step in captured.steps] == ['{"years": 112}', '{"years": 113}']
    assert captured.steps[0].attributes["request"]["response_format"] == {"type": "json_schema", "name": "Age"}
    assert captured.steps[1].attributes["request"]["text"] == {"type": "json_schema", "name": "Age"}


def test_a_response_is_a_message_with_its_instructions_as_the_first(
    captured: Capture, ask: Asking, server: ModelServer
) -> None:
    server.reply(Answer("Let me count.", tool_calls=[ToolCall("ring_count", {"tree": "oak"})]))
    ask("responses.create", model="gpt-4o-mini", instructions="Be short.", input="How old?", max_output_tokens=50)
    step = captured.step("llm", "responses")
    assert step.input == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "How old?"}]
    assert step.output["content"] == "Let me count."
    assert step.output["tool_calls"][0]["args"] == {"tree": "oak"}
    assert step.usage is not None
    assert step.usage.input_tokens == server.usage_served.input_tokens
    assert step.attributes["finish_reason"] == "completed"


def test_reading_a_stored_response_is_no_model_call(captured: Capture, ask: Asking, server: ModelServer) -> None:
    for path, options in (
        ("responses.retrieve", {"response_id": "resp_1"}),
        ("chat.completions.retrieve", {"completion_id": "c"}),
        ("chat.completions.update", {"completion_id": "c", "metadata": {}}),
        ("responses.cancel", {"response_id": "resp_1"}),
        ("files.retrieve", {"file_id": "f"}),
        ("batches.create", {"completion_window": "24h", "endpoint": "/v1/responses", "input_file_id": "f"}),
    ):
        with pytest.raises(openai.APIStatusError):
            ask(path, **options)
    ask("models.list") if isinstance(ask.client, OpenAI) else None
    assert captured.workflows == []


def test_a_failed_response_is_an_error(captured: Capture, answering: Answering) -> None:
    failed = {
        "id": "resp_1",
        "object": "response",
        "status": "failed",
        "model": "gpt-4o",
        "output": [],
        "error": {"code": "server_error", "message": "The model is down."},
    }
    answering(json=failed)("responses.create", model="gpt-4o", input="How old?")
    step = captured.step("llm")
    assert (step.status, step.error) == ("error", "server_error: The model is down.")


def test_what_a_response_holds_beside_text_is_kept_without_its_images(captured: Capture, answering: Answering) -> None:
    image = base64.b64encode(bytes(3_000)).decode()
    body = {
        "id": "resp_1",
        "object": "response",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "model": "gpt-5",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Trees have rings."}]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "oak"}},
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": image},
            {"type": "message", "id": "m", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "112", "annotations": []}]},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 12}},
    }  # fmt: skip
    answering(json=body)("responses.create", model="gpt-5", input="How old?")
    step = captured.step("llm")
    assert (step.output["content"], step.output["reasoning"]) == ("112", "Trees have rings.")
    assert [item["type"] for item in step.output["items"]] == ["web_search_call", "image_generation_call"]
    assert image not in str(step.output)
    assert step.attributes["finish_reason"] == "max_output_tokens"
    assert step.usage is not None
    assert (step.usage.reasoning_tokens, step.usage.requests) == (12, {"web_search": 1})


def test_several_choices_are_a_list_and_their_usage_counts_once(captured: Capture, answering: Answering) -> None:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": str(i)}, "finish_reason": "stop"} for i in range(3)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": choices, "usage": usage}
    answering(json=body)("chat.completions.create", model="gpt-4o", messages=MESSAGES, n=3)
    step = captured.step("llm")
    assert [message["content"] for message in step.output] == ["0", "1", "2"]
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) == (5, 3)


def test_embeddings_are_counted_and_not_kept(captured: Capture, ask: Asking, server: ModelServer) -> None:
    for encoding in ("float", "base64"):
        ask("embeddings.create", model="text-embedding-3-small", input=["oak", "elm"], encoding_format=encoding)
    for step in captured.steps:
        assert (step.kind, step.attributes["call_type"]) == (Kind.EMBEDDING, "embedding")
        assert step.output == {"vectors": 2, "dimensions": 256}
        assert step.usage is not None
        assert step.usage.input_tokens
        assert step.cost_usd
    assert sum(step.usage.input_tokens or 0 for step in captured.steps if step.usage) == (
        server.usage_served.input_tokens
    )


def test_text_completions_and_moderations_say_their_type(captured: Capture, ask: Asking) -> None:
    ask("completions.create", model="gpt-3.5-turbo-instruct", prompt="Oak")
    ask("moderations.create", input="A nasty word.")
    first, second = captured.steps
    assert (first.name, first.attributes["call_type"], first.output) == ("completions", "completion", "Oak")
    assert (second.name, second.attributes["call_type"]) == ("moderations", "moderation")
    assert second.output == {"flagged": False, "categories": []}
    assert second.cost_usd == 0


def test_images_in_a_conversation_make_it_vision_and_are_not_kept(captured: Capture, ask: Asking) -> None:
    data = "data:image/png;base64," + base64.b64encode(bytes(5_000)).decode()
    chat: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data}}]}]
    items: Any = [{"role": "user", "content": [{"type": "input_image", "image_url": data}]}]
    ask("chat.completions.create", model="gpt-4o-mini", messages=chat)
    ask("responses.create", model="gpt-4o-mini", input=items)
    for step in captured.steps:
        assert step.attributes["call_type"] == "vision"
        assert data not in str(step.input)
        assert "data:image/png;base64" in str(step.input)


def test_sound_in_a_conversation_is_its_size(captured: Capture, ask: Asking) -> None:
    data = base64.b64encode(bytes(3_000)).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    ask("chat.completions.create", model="gpt-4o-audio-preview", messages=[{"role": "user", "content": [part]}])
    step = captured.step("llm")
    assert step.attributes["audio"] == {"bytes": 3_000, "format": "wav"}
    assert data not in str(step.input)


def wave(seconds: float, rate: int = 8_000) -> bytes:
    data = bytes(int(seconds * rate))
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data))
    return head + data


def test_a_transcription_is_billed_by_the_seconds_or_tokens_that_it_reports(
    captured: Capture, answering: Answering
) -> None:
    sound = ("talk.wav", wave(2.5))
    by_time = {"text": "Hello.", "usage": {"type": "duration", "seconds": 3}}
    answering(json=by_time)("audio.transcriptions.create", model="whisper-1", file=sound, language="en")
    by_tokens = {"text": "Hello.", "usage": {"type": "tokens", "input_tokens": 25, "output_tokens": 4, "total_tokens": 29,
                                             "input_token_details": {"audio_tokens": 25, "text_tokens": 0}}}  # fmt: skip
    answering(json=by_tokens)("audio.transcriptions.create", model="gpt-4o-transcribe", file=io.BytesIO(sound[1]))
    verbose = {"text": "Hallo.", "language": "german", "duration": 2.5, "segments": []}
    answering(json=verbose)("audio.translations.create", model="whisper-1", file=sound, response_format="verbose_json")
    first, second, third = captured.steps
    assert first.attributes["audio"] == {"name": "talk.wav", "format": "wav", "bytes": len(sound[1]), "seconds": 2.5}
    assert (first.attributes["call_type"], first.attributes["request"]) == ("transcription", {"language": "en"})
    assert first.output == "Hello."
    assert [step.usage.requests if step.usage else None for step in (first, third)] == [{"seconds": 3}, {"seconds": 3}]
    assert first.cost_usd
    assert second.usage is not None
    assert (second.usage.input_tokens, second.usage.input_audio_tokens, second.usage.output_tokens) == (25, 25, 4)
    assert second.attributes["audio"]["seconds"] == 2.5
    assert (third.name, third.attributes["audio"]["language"]) == ("audio.translations", "german")


def test_a_file_is_not_read(captured: Capture, answering: Answering, tmp_path: Any) -> None:
    path = tmp_path / "talk.mp3"
    path.write_bytes(bytes(1_234))
    with path.open("rb") as file:
        answering(json={"text": "Hello."})("audio.transcriptions.create", model="whisper-1", file=file)
    assert captured.step("llm").attributes["audio"] == {"name": "talk.mp3", "format": "mp3", "bytes": 1_234}


def test_a_transcription_as_bare_text_is_its_text(captured: Capture, answering: Answering) -> None:
    plain = answering(content=b"Hello there.\n", headers={"content-type": "text/plain"})
    given = plain("audio.transcriptions.create", model="whisper-1", file=b"x", response_format="text")
    assert captured.step("llm").output == given == "Hello there.\n"


def test_speech_is_its_size_and_the_characters_read(captured: Capture, answering: Answering) -> None:
    asking = answering(content=bytes(4_000), headers={"content-type": "audio/mpeg"})
    sound = asking("audio.speech.create", model="tts-1", voice="alloy", input="Hello there.")
    assert len(sound.content) == 4_000
    step = captured.step("llm")
    assert (step.name, step.attributes["call_type"], step.output) == ("audio.speech", "speech", {"bytes": 4_000})
    assert step.attributes["request"] == {"voice": "alloy"}
    assert step.usage is not None
    assert step.usage.requests == {"characters": 12}
    assert step.cost_usd


def test_images_are_counted_and_not_kept(captured: Capture, answering: Answering) -> None:
    image = base64.b64encode(bytes(3_000)).decode()
    usage = {"input_tokens": 12, "output_tokens": 1_056, "total_tokens": 1_068,
             "input_tokens_details": {"text_tokens": 12, "image_tokens": 0}}  # fmt: skip
    made = {"size": "1024x1024", "quality": "medium", "output_format": "png"}
    body = {"created": 1, "data": [{"b64_json": image}], "usage": usage, **made}
    answering(json=body)("images.generate", model="gpt-image-1", prompt="An oak", size="1024x1024")
    answering(json=body)(
        "images.edit", model="gpt-image-1", image=[("a.png", b"12"), ("b.png", b"345")], prompt="Older"
    )
    old = {"created": 1, "data": [{"url": "https://img.example/1.png?sig=secret", "revised_prompt": "An old oak"}] * 2}
    answering(json=old)("images.generate", model="dall-e-3", prompt="An oak", n=2)
    answering(json=old)("images.create_variation", model="dall-e-2", image=("a.png", b"12"), n=2)
    first, edited, by_image, variation = captured.steps
    assert [step.name for step in captured.steps] == [
        "images.generate",
        "images.edit",
        "images.generate",
        "images.variation",
    ]
    assert {step.attributes["call_type"] for step in captured.steps} == {"image"}
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.output_tokens, first.usage.output_image_tokens) == (12, 1_056, 1_056)
    assert first.output == {"images": [{"bytes": 3_000}]}
    assert first.attributes["image"] == {"n": 1, **made}
    assert [sent["bytes"] for sent in edited.attributes["images"]] == [2, 3]
    for step in (by_image, variation):
        assert step.usage is not None
        assert step.usage.requests == {"images": 2}
    assert by_image.output["images"][0] == {"url": "https://img.example/1.png", "revised_prompt": "An old oak"}


@pytest.mark.parametrize(
    ("failure", "name"),
    [(Failure(429), "RateLimitError"), (Failure(400), "BadRequestError"), (Failure(500), "InternalServerError")],
)
def test_an_error_is_the_steps_and_the_programs(
    captured: Capture, ask: Asking, server: ModelServer, failure: Failure, name: str
) -> None:
    server.reply(failure)
    with pytest.raises(getattr(openai, name)) as raised:
        ask("chat.completions.create", model="gpt-4o-mini", messages=MESSAGES)
    step = captured.step("llm")
    assert (step.status, step.error_type) == ("error", name)
    assert step.error == str(raised.value)
    assert step.usage is None


def test_attempts_of_the_sdk_are_told(captured: Capture, ask: Asking, server: ModelServer, quick_retries: None) -> None:
    ask.client.max_retries = 2
    for replies in ([Failure(429), "late"], ["at once"], [Failure(500), Failure(500), Failure(500)]):
        for reply in replies:
            server.reply(reply)
        try:
            ask("chat.completions.create", model="gpt-4o-mini", messages=MESSAGES)
        except openai.InternalServerError:
            pass
    assert [(step.status, step.attributes.get("attempt")) for step in captured.steps] == [
        ("ok", 2),
        ("ok", None),
        ("error", 3),
    ]


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai._base_client.BaseClient, "_calculate_retry_timeout", lambda *_args, **_options: 0.0)


def test_a_timeout_is_an_error(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.delay(5)
    with pytest.raises(openai.APITimeoutError):
        ask("chat.completions.create", model="gpt-4o-mini", messages=MESSAGES, timeout=0.05)
    step = captured.step("llm")
    assert (step.status, step.error_type) == ("error", "APITimeoutError")


async def test_a_cancelled_call_is_cancelled(captured: Capture, server: ModelServer) -> None:
    server.delay(5)
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES), 0.1)
    assert captured.step("llm").status == "cancelled"


def test_wrong_arguments_are_no_call(captured: Capture, client: OpenAI) -> None:
    with pytest.raises(TypeError):
        client.chat.completions.create(model="gpt-4o-mini")  # type: ignore[call-overload]  # on purpose
    assert captured.workflows == []


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.x.ai/v1", "xai"),
        ("https://my-resource.openai.azure.com/openai/v1/", "azure"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "google"),
        ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", "bedrock"),
        ("http://localhost:11434/v1", "ollama"),
        ("https://llm.example.com/v1", None),
        ("https://max.ai/v1", None),
    ],
)
def test_the_host_tells_the_provider(
    captured: Capture, answering: Answering, base_url: str, provider: str | None
) -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    answering(json=body, base_url=base_url)("chat.completions.create", model="m", messages=MESSAGES)
    assert captured.step("llm").provider == provider


def test_azure_is_azure_and_answers_with_the_model_behind_the_deployment(captured: Capture) -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "112"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}  # fmt: skip
    seen: list[httpx.URL] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.url)
        return httpx.Response(200, json=body)

    with openai.AzureOpenAI(
        azure_endpoint="https://gateway.example.com",
        api_key="unused",
        api_version="2024-10-21",
        http_client=httpx.Client(transport=httpx.MockTransport(respond)),
    ) as client:
        client.chat.completions.create(model="my-deployment", messages=MESSAGES)
    assert "/deployments/my-deployment/chat/completions" in str(seen[0])
    step = captured.step("llm")
    assert (step.provider, step.model) == ("azure", "gpt-4o-mini-2024-07-18")
    assert step.cost_usd


def test_a_request_by_path_is_recorded_too(captured: Capture, client: OpenAI) -> None:
    client.post("/chat/completions", body={"model": "gpt-4o-mini", "messages": MESSAGES}, cast_to=object)
    step = captured.step("llm")
    assert (step.name, step.output["content"]) == ("chat.completions", "How old is the oak?")


def test_keys_and_headers_are_not_recorded(captured: Capture, server: ModelServer) -> None:
    with OpenAI(base_url=server.base_url, api_key="sk-very-secret-key", max_retries=0) as client:
        tool: Any = {
            "type": "mcp",
            "server_label": "docs",
            "server_url": "https://x.example",
            "authorization": "tok-123",
        }
        client.responses.create(
            model="gpt-4o-mini", input="Hi", tools=[tool], extra_headers={"x-key": "header-secret"}, metadata={"k": "v"}
        )
    shown = captured.outline(show=lambda step: str((step.input, step.output, step.attributes)))
    assert not any(secret in shown for secret in ("very-secret", "tok-123", "header-secret"))


def test_sound_on_a_model_server_is_what_it_serves(captured: Capture, ask: Asking, server: ModelServer) -> None:
    server.when(endpoint="audio/transcriptions").say("Hello.", usage={"input_tokens": 30, "output_tokens": 4})
    server.when(endpoint="audio/speech").say("la la la")
    ask("audio.transcriptions.create", model="gpt-4o-transcribe", file=("talk.wav", wave(1.0)))
    ask("audio.speech.create", model="tts-1", voice="alloy", input="Sing.")
    heard, said = captured.steps
    assert heard.usage is not None
    assert (heard.output, heard.usage.input_tokens, heard.usage.output_tokens) == ("Hello.", 30, 4)
    assert server.requests[0].body["file"]["bytes"] == len(wave(1.0))
    assert (said.output, said.usage and said.usage.requests) == ({"bytes": 8}, {"characters": 5})
