"""Google's Gen AI SDK without a framework: a chat that calls a function, recorded by `treerings.instrument("google")`.

    python examples/google_sdk.py

Runs offline: a scripted server in this process plays the model. Needs google-genai.
"""

from __future__ import annotations

import treerings
from google.genai import Client
from google.genai.types import GenerateContentConfig, HttpOptions
from treerings.testing import ModelServer


def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


def main() -> None:
    treerings.instrument("google")
    with ModelServer() as server:
        server.call_tool("rainfall", {"year": 1976})
        server.say("Yes: 410 mm fell in 1976.", usage={"output_tokens": 30, "reasoning_tokens": 18})
        client = Client(api_key="unused", vertexai=False, http_options=HttpOptions(base_url=server.url))
        chat = client.chats.create(model="gemini-2.5-flash", config=GenerateContentConfig(tools=[rainfall]))
        print(chat.send_message("Was 1976 a dry year?").text)
        client.close()
    print(treerings.flush())


if __name__ == "__main__":
    main()
