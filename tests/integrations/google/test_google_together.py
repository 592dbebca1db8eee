"""Beside other things: a thousand calls, LangChain above."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
import treerings
from google.genai import Client
from google.genai.types import HttpOptions
from google_answers import ASK, MODEL, body, whole
from treerings.streams import Followed
from treerings.testing import Capture, ModelServer
from treerings_google.answers import Chunks
from treerings_google.calls import SdkCall


def test_a_thousand_calls_leave_nothing(captured: Capture) -> None:
    http = pytest.importorskip("httpx")
    told = f"data: {json.dumps(body(reason=None))}\r\n\r\ndata: {json.dumps(body())}\r\n\r\n"

    def answer(request: Any) -> Any:
        if "stream" in request.url.path:
            return http.Response(200, headers={"content-type": "text/event-stream"}, content=iter([told.encode()]))
        return http.Response(200, json=body())

    sender = http.Client(transport=http.MockTransport(answer))
    client = Client(api_key="k", vertexai=False, http_options=HttpOptions(httpx_client=sender))
    for turn in range(500):
        client.models.generate_content(**ASK)
        for _ in client.models.generate_content_stream(**ASK):
            if turn % 2:
                break

    assert len(captured.steps) == 1_000
    gc.collect()
    kept = [type(found).__name__ for found in gc.get_objects() if isinstance(found, SdkCall | Chunks | Followed)]
    assert kept == []


@pytest.mark.filterwarnings("ignore")
def test_langchains_call_above_counts_it_once(server: ModelServer, captured: Capture) -> None:
    langchain = pytest.importorskip("langchain_google_genai")
    treerings.instrument("langchain")
    server.play([whole()])

    model = langchain.ChatGoogleGenerativeAI(model=MODEL, google_api_key="k", base_url=server.url, max_retries=1)
    model.invoke("How old is the oak?")

    treerings.uninstrument("langchain")
    assert captured.outline() == "llm ChatGoogleGenerativeAI\n  llm generate_content"
    totals = captured.workflow.totals
    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens) == (1, 105, 27)
