"""Google's Gen AI SDK for the whole process."""

from __future__ import annotations

from .clients import instrument, uninstrument

__all__ = ["instrument", "probe", "uninstrument"]


def probe(base_url: str) -> None:
    """Have the scripted server at `base_url` answer one question, with a function that the SDK calls on the way."""
    from google.genai import Client
    from google.genai.types import GenerateContentConfig, HttpOptions

    url = base_url.removesuffix("/v1")
    client = Client(api_key="unused", vertexai=False, http_options=HttpOptions(base_url=url))
    chat = client.chats.create(model="gemini-2.5-flash", config=GenerateContentConfig(tools=[ring_count]))
    chat.send_message("How old is the oak?")
    client.close()


def ring_count(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"
