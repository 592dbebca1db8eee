"""Every recorded answer of Google, read through the SDK, uses what it says it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.genai import Client, errors
from google.genai.types import HttpOptions
from treerings.testing import Capture, ModelServer, recordings
from treerings.testing.recordings import Call

FOLDER = recordings.folder()
MODEL = "gemini-2.5-flash"


def recorded() -> list[Any]:
    if FOLDER is None:
        return [pytest.param(None, marks=pytest.mark.skip("no recordings beside the repository"))]
    found = []
    for path in sorted(FOLDER.glob("*/*.json")):
        for number, call in enumerate(recordings.load(path)):
            if "enum-encoding" in call.url:
                continue  # another SDK's format, in which enumerations are numbers
            if call.provider in ("google", "vertexai") and call.endpoint in (
                "generateContent",
                "streamGenerateContent",
                "batchEmbedContents",
            ):
                found.append(pytest.param(call, id=f"{path.stem}-{number}"))
    return found


@pytest.mark.parametrize("call", recorded())
def test_usage_is_what_the_answer_says(
    call: Call, server: ModelServer, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([call, call])
    vertex = call.provider == "vertexai"
    client = Client(api_key="k", vertexai=vertex, http_options=HttpOptions(base_url=server.url))

    ask(client, call)
    run(lambda client: ask_async(client, call))

    client.close()
    total = recordings.usage_total([call])
    steps = captured.steps
    assert len(steps) == 2
    for step in steps:
        if call.status >= 400:
            assert (step.status, step.usage) == ("error", None)
        elif call.endpoint == "batchEmbedContents":
            assert step.output["vectors"] > 0
        else:
            usage = step.usage
            assert usage is not None
            assert step.estimated is (total.input_tokens == 0)  # one does not say what its prompt took
            assert (step.estimated or usage.input_tokens, usage.output_tokens) == (
                total.input_tokens or True,
                total.output_tokens,
            )
            assert (usage.cache_read_tokens or 0, usage.reasoning_tokens or 0) == (
                total.cache_read_tokens,
                total.reasoning_tokens,
            )
            assert step.output is not None
            assert step.output == steps[0].output


def ask(client: Any, call: Call) -> None:
    models, asked = client.models, {"model": MODEL, "contents": "as recorded"}
    if call.endpoint == "batchEmbedContents":
        models.embed_content(**asked)
    elif call.endpoint == "streamGenerateContent":
        list(models.generate_content_stream(**asked))
    elif call.status >= 400:
        with pytest.raises(errors.APIError):
            models.generate_content(**asked)
    else:
        models.generate_content(**asked)


async def ask_async(client: Any, call: Call) -> None:
    models, asked = client.models, {"model": MODEL, "contents": "as recorded"}
    if call.endpoint == "batchEmbedContents":
        await models.embed_content(**asked)
    elif call.endpoint == "streamGenerateContent":
        async for _ in await models.generate_content_stream(**asked):
            pass
    elif call.status >= 400:
        with pytest.raises(errors.APIError):
            await models.generate_content(**asked)
    else:
        await models.generate_content(**asked)
