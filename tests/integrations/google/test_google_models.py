"""A request to Gemini is a model call: what it asked, what it answered, what it used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import treerings
from google.genai import Client, errors, types
from google_answers import ASK, MODEL, answer, body, failed, function_call, streamed, whole
from treerings.testing import Capture, ModelServer, capture
from treerings_google import unwrap, wrap

SHOWN = ("provider", "model", "input_tokens", "output_tokens")
WHOLE = f"llm generate_content provider=google model={MODEL} input_tokens=105 output_tokens=27"


def test_a_request_is_a_model_call(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([whole({"text": "An oak.", "thought": True}, {"text": "112 rings."})])
    declared = types.FunctionDeclaration(name="ring_count", description="Count.")

    response = client.models.generate_content(
        **ASK,
        config=types.GenerateContentConfig(
            system_instruction="Be brief.", temperature=0.5, tools=[types.Tool(function_declarations=[declared])]
        ),
    )

    assert type(response) is types.GenerateContentResponse
    assert response.text == "112 rings."
    step = captured.step("llm")
    assert captured.outline(show=SHOWN) == WHOLE
    assert step.source == "google"
    assert step.input == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How old is the oak?"},
    ]
    assert step.output == {"role": "assistant", "content": "112 rings.", "reasoning": "An oak."}
    assert step.attributes == {
        "request": {"temperature": 0.5, "tools": ["ring_count"]},
        "response_id": "r_1",
        "finish_reason": "STOP",
    }
    usage = step.usage
    assert (usage.reasoning_tokens, usage.cache_read_tokens, usage.tool_prompt_tokens, usage.input_image_tokens) == (
        20,
        40,
        5,
        40,
    )
    assert step.cost_usd is not None


def test_an_asynchronous_request_is_a_model_call(
    server: ModelServer, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([whole()])

    run(lambda client: client.models.generate_content(**ASK))

    assert captured.outline(show=SHOWN) == WHOLE


def test_a_stream_is_one_call(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([streamed({"text": "112 "}, {"text": "rings."}, function_call(tree="oak"))])

    chunks = client.models.generate_content_stream(**ASK)
    assert captured.steps == []
    assert next(chunks).text == "112 "
    assert captured.step("llm").status == "running"
    assert len(list(chunks)) == 2

    step = captured.step("llm")
    assert captured.outline(show=SHOWN) == WHOLE
    assert step.output == {
        "role": "assistant",
        "content": "112 rings.",
        "tool_calls": [{"id": None, "name": "ring_count", "args": {"tree": "oak"}}],
    }
    assert step.first_token_ms is not None
    assert step.attributes["request"] == {"stream": True}


def test_an_asynchronous_stream_is_one_call(server: ModelServer, run: Callable[..., Any], captured: Capture) -> None:
    server.play([streamed()])

    async def ask(client: Any) -> str:
        return "".join([chunk.text async for chunk in await client.models.generate_content_stream(**ASK)])

    assert run(ask) == "112 rings."
    assert captured.outline(show=SHOWN) == WHOLE


def test_a_stream_that_is_left_keeps_what_is_known(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([streamed()])

    chunks = client.models.generate_content_stream(**ASK)
    next(chunks)
    chunks.close()

    step = captured.step("llm")
    assert (step.status, step.usage.input_tokens, step.usage.output_tokens) == ("cancelled", 100, 1)
    assert step.output == {"role": "assistant", "content": "112 "}


def test_a_chat_asks_once_a_message(
    server: ModelServer, client: Client, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([whole(), streamed(), whole(), streamed()])

    chat = client.chats.create(model=MODEL)
    assert chat.send_message("How old?").text == "112 rings."
    assert [chunk.text for chunk in chat.send_message_stream("Sure?")] == ["112 ", "rings."]

    async def ask(client: Any) -> None:
        chat = client.chats.create(model=MODEL)
        await chat.send_message("How old?")
        async for _ in await chat.send_message_stream("Sure?"):
            pass

    run(ask)

    assert captured.outline(show=SHOWN) == "\n\n".join([WHOLE] * 4)
    assert [message["role"] for message in captured.steps[1].input] == ["user", "assistant", "user"]


def test_a_picture_is_noted_and_not_kept(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([whole()])
    picture = types.Part.from_bytes(data=b"\x89PNG" * 1_000, mime_type="image/png")

    client.models.generate_content(model=MODEL, contents=[picture, "What is this?"])

    step = captured.step("llm")
    assert step.attributes["call_type"] == "vision"
    assert "iVBOR" not in repr(step.input)


def test_embeddings_are_embeddings(
    server: ModelServer, client: Client, run: Callable[..., Any], captured: Capture
) -> None:
    said = {"embeddings": [{"values": [0.1, 0.2]}, {"values": [0.3, 0.4]}]}
    server.play([answer("batchEmbedContents", said, "gemini-embedding-001") for _ in range(2)])

    asked: Any = {"model": "gemini-embedding-001", "contents": ["oak", "elm"]}
    client.models.embed_content(**asked)
    run(lambda client: client.models.embed_content(**asked))

    first, second = captured.steps
    assert captured.outline(show=("model",)).splitlines()[0] == "embedding embed_content model=gemini-embedding-001"
    assert (first.input, first.output) == (["oak", "elm"], {"vectors": 2, "dimensions": 2})
    assert (second.output, second.estimated) == (first.output, True)


def test_vertex_is_vertex(server: ModelServer, captured: Capture) -> None:
    client = Client(vertexai=True, api_key="k", http_options=types.HttpOptions(base_url=server.url))
    url = f"{server.url}/v1beta1/publishers/google/models"
    vectors = {"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": 3}}}]}
    server.play(
        [
            {"url": f"{url}/{MODEL}:generateContent", "status": 200, "request": {}, "response": body()},
            {"url": f"{url}/text-embedding-005:predict", "status": 200, "request": {}, "response": vectors},
        ]
    )

    client.models.generate_content(**ASK)
    client.models.embed_content(model="text-embedding-005", contents="oak")
    client.close()

    assert captured.outline(show=SHOWN) == (
        f"llm generate_content provider=google-vertex model={MODEL} input_tokens=105 output_tokens=27\n\n"
        "embedding embed_content provider=google-vertex model=text-embedding-005 input_tokens=3"
    )


@pytest.mark.filterwarnings("ignore")
def test_images_are_counted(server: ModelServer, captured: Capture) -> None:
    said = {"predictions": [{"bytesBase64Encoded": "aGVsbG8h" * 200, "mimeType": "image/png"}] * 2}
    url = f"{server.url}/v1beta1/publishers/google/models/imagen-4.0-generate-001:predict"
    server.play([{"url": url, "status": 200, "request": {}, "response": said}])
    client = Client(vertexai=True, api_key="k", http_options=types.HttpOptions(base_url=server.url))

    images = client.models.generate_images(
        model="imagen-4.0-generate-001", prompt="An oak", config=types.GenerateImagesConfig(number_of_images=2)
    )

    client.close()
    assert len(images.generated_images or ()) == 2
    step = captured.step("llm", "generate_images")
    assert (step.input, step.usage.requests, step.attributes["call_type"]) == ("An oak", {"images": 2}, "image")
    assert step.output == {"images": [{"bytes": 1200, "mime_type": "image/png"}] * 2}


def test_counting_tokens_is_no_model_call(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([answer("countTokens", {"totalTokens": 5})])

    assert client.models.count_tokens(**ASK).total_tokens == 5

    assert captured.steps == []


def test_a_failure_is_the_steps_and_the_programs(
    server: ModelServer, client: Client, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([failed(503, "Overloaded"), failed(503, "Overloaded")])

    with pytest.raises(errors.ServerError, match="Overloaded"):
        client.models.generate_content(**ASK)
    with pytest.raises(errors.ServerError, match="Overloaded"):
        run(lambda client: client.models.generate_content(**ASK))

    assert captured.outline() == "llm generate_content error\n\nllm generate_content error"
    assert captured.steps[0].error_type == "ServerError"


def test_a_prompt_that_is_refused_says_why(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play(
        [
            answer(
                "generateContent",
                {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}},
            )
        ]
    )

    client.models.generate_content(**ASK)

    step = captured.step("llm")
    assert (step.attributes["finish_reason"], step.output, step.usage.input_tokens) == ("SAFETY", None, 9)


def test_no_key_and_no_header_is_recorded(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([whole()])

    client.models.generate_content(
        **ASK, config=types.GenerateContentConfig(http_options=types.HttpOptions(headers={"x-secret": "hidden-header"}))
    )

    told = repr(captured.step("llm"))
    assert "secret-key" not in told
    assert "hidden-header" not in told


def test_steps_hang_below_what_runs(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([whole()])

    with treerings.step("agent", "forester"):
        client.models.generate_content(**ASK)

    assert captured.outline() == "agent forester\n  llm generate_content"


def test_answers_and_requests_are_what_they_are_without_us(server: ModelServer, client: Client) -> None:
    server.play([whole(), whole()])
    before = client.models.generate_content(**ASK)

    with capture() as captured:
        treerings.instrument("google")
        treerings.instrument("google")
        after = client.models.generate_content(**ASK)
        treerings.uninstrument("google")
        assert len(captured.steps) == 1

    assert after.model_dump(exclude={"sdk_http_response"}) == before.model_dump(exclude={"sdk_http_response"})
    assert server.requests[0].data == server.requests[1].data


def test_off_again_nothing_is_recorded(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([whole()])
    treerings.uninstrument("google")

    client.models.generate_content(**ASK)

    assert captured.steps == []


def test_a_single_client_is_recorded(server: ModelServer, client: Client, run: Callable[..., Any]) -> None:
    server.play([whole(), whole(), whole(), whole(), whole()])
    other = Client(api_key="k", vertexai=False, http_options=types.HttpOptions(base_url=server.url))
    assert wrap(client) is client

    with capture() as captured:
        client.models.generate_content(**ASK)
        client.chats.create(model=MODEL).send_message("Hm?")
        run(lambda client: client.models.generate_content(**ASK))
        other.models.generate_content(**ASK)
        unwrap(client)
        other.models.generate_content(**ASK)

    other.close()
    assert len(captured.steps) == 3


def test_the_probe_is_recorded(server: ModelServer, captured: Capture) -> None:
    from treerings_google.integration import probe

    server.call_tool("ring_count", {"tree": "oak"}).say("112 rings.", usage={"output_tokens": 5})
    probe(server.base_url)

    assert (
        captured.outline()
        == """\
agent send_message
  llm generate_content
  tool ring_count
  llm generate_content"""
    )
    assert captured.workflow.totals.total_tokens == server.usage_served.total_tokens


def test_doctors_model_gives_the_probes_tool_what_it_needs(captured: Capture) -> None:
    from treerings.cli import probing
    from treerings_google.integration import probe

    with ModelServer(default=probing._answer) as server:
        probe(server.base_url)

    tool = captured.step("tool")
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
