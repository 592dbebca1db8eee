"""Google's Gen AI SDK for the whole process."""

from __future__ import annotations

from .clients import instrument, uninstrument

__all__ = ["instrument", "probe", "uninstrument"]


def probe(base_url: str) -> None:
    """Ask once, on a server of its own: the one at `base_url` does not speak Google's language."""
    from google.genai import Client
    from google.genai.types import HttpOptions
    from treerings.testing import ModelServer

    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "112 rings."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 5, "totalTokenCount": 17},
        "modelVersion": "gemini-2.5-flash",
    }
    with ModelServer() as server:
        url = f"{server.url}/v1beta/models/gemini-2.5-flash:generateContent"
        server.play([{"url": url, "status": 200, "request": {}, "response": answer}])
        client = Client(api_key="unused", vertexai=False, http_options=HttpOptions(base_url=server.url))
        client.models.generate_content(model="gemini-2.5-flash", contents="How old is the oak?")
        client.close()
