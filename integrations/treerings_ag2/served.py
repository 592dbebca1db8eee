"""A model for the probe: asks a server with OpenAI's interface by plain HTTP, without any provider's SDK."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

from ag2.config import LLMClient, ModelConfig, ModelProvider
from ag2.events import BaseEvent, ModelMessage, ModelResponse, ToolCallEvent, ToolCallsEvent, Usage

from .payloads import messages as prompt

__all__ = ["ServedConfig"]


class ServedConfig(ModelConfig):
    """ag2's own configurations ask for certain versions of the providers' SDKs; a probe must run with any."""

    temperature = 0.5

    def __init__(self, base_url: str, model: str = "gpt-4o-mini") -> None:
        self.base_url = base_url
        self._model = model

    @property
    def provider(self) -> ModelProvider:
        return ModelProvider.OPENAI

    @property
    def model(self) -> str:
        return self._model

    def copy(self) -> ServedConfig:
        return self

    def create(self) -> Client:
        return Client(self)

    def create_files_client(self) -> Any:
        raise NotImplementedError


class Client(LLMClient):
    """Asks once a call."""

    def __init__(self, config: ServedConfig) -> None:
        self.config = config

    async def __call__(
        self,
        messages: Sequence[BaseEvent],
        context: Any,
        *,
        tools: Iterable[Any],
        response_schema: Any,
        serializer: Any,
    ) -> ModelResponse:
        body: dict[str, Any] = {
            "model": self.config.model,
            "messages": [_sent(message) for message in prompt(context.prompt, messages)],
        }
        functions = [tool.function for tool in tools if hasattr(tool, "function")]
        if functions:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": one.name, "description": one.description, "parameters": one.parameters},
                }
                for one in functions
            ]
        return _received(await asyncio.to_thread(self._post, body))

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.config.base_url}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": "Bearer unused"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            received: dict[str, Any] = json.load(answer)
            return received


def _sent(message: dict[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    content = message["content"]
    sent = {**message, "content": content if isinstance(content, str) else json.dumps(content)}
    if calls:
        sent["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["args"])},
            }
            for call in calls
        ]
    return sent


def _received(answer: dict[str, Any]) -> ModelResponse:
    choice = answer["choices"][0]
    message = choice["message"]
    usage = answer.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    return ModelResponse(
        None if message.get("content") is None else ModelMessage(message["content"]),
        tool_calls=ToolCallsEvent(
            [
                ToolCallEvent(call["function"]["name"], id=call["id"], arguments=call["function"]["arguments"])
                for call in message.get("tool_calls") or ()
            ]
        ),
        usage=Usage(
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            total_tokens=usage.get("total_tokens"),
            cache_read_input_tokens=details.get("cached_tokens"),
        ),
        model=answer.get("model"),
        provider="openai",
        finish_reason=choice.get("finish_reason"),
        response_id=answer.get("id"),
    )
