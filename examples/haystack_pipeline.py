"""A haystack pipeline with a prompt and an agent, recorded without a change to it.

    python examples/haystack_pipeline.py

Runs offline: a scripted server in this process plays the model. Needs haystack-ai.
"""

from __future__ import annotations

import os

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"

import treerings
from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools.from_function import create_tool_from_function
from haystack.utils import Secret
from treerings.testing import ModelServer


def rainfall(year: int) -> str:
    """The rain of a year in mm."""
    return f"{year}: 410 mm"


def weather(base_url: str) -> Pipeline:
    """A prompt, and an agent that answers it."""
    generator = OpenAIChatGenerator(model="gpt-5-mini", api_base_url=base_url, api_key=Secret.from_token("unused"))
    pipeline = Pipeline(metadata={"name": "weather"})
    question = ChatMessage.from_user("Was {{year}} a dry year?")
    pipeline.add_component("prompt", ChatPromptBuilder(template=[question]))
    pipeline.add_component("forester", Agent(chat_generator=generator, tools=[create_tool_from_function(rainfall)]))
    pipeline.connect("prompt.prompt", "forester.messages")
    return pipeline


def main() -> None:
    treerings.instrument("haystack")
    with ModelServer() as server:
        server.call_tool("rainfall", {"year": 1976}).say("Yes, 1976 was dry.")
        result = weather(server.base_url).run({"prompt": {"year": 1976}})
        print(result["forester"]["last_message"].text)
    print(treerings.flush())


if __name__ == "__main__":
    main()
