"""Own steps in the matrix: an agent written by hand, its model called with the OpenAI SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import treerings
from matrix_cell import AsyncTool, Tool
from openai import AsyncOpenAI, OpenAI

NAME, INTEGRATION = "own step", None

SCHEMA = {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]}


def _talk(tool: Any, question: str) -> Iterator[dict[str, Any]]:
    """What the model is asked, turn by turn; is sent the model's and the tool's answers."""
    messages: list[Any] = [{"role": "user", "content": question}]
    tools = [{"type": "function", "function": {"name": tool.__name__, "parameters": SCHEMA}}]
    answer = yield {"messages": messages, "tools": tools}
    call = answer["tool_calls"][0]
    result = yield json.loads(call["function"]["arguments"])
    messages += [answer, {"role": "tool", "tool_call_id": call["id"], "content": result}]
    answer = yield {"messages": messages, "tools": tools}
    yield answer["content"]


def _told(step: Any, answer: Any) -> dict[str, Any]:
    """Give the step the usage, as code without any SDK's integration does; return the message."""
    step.set(usage=treerings.Usage.from_provider(answer), output=answer["choices"][0]["message"])
    message: dict[str, Any] = answer["choices"][0]["message"]
    return message


def run(base_url: str, model: str, tool: Tool, question: str) -> str:
    with treerings.step("agent", "own_agent"), OpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:

        def ask(request: Any) -> Any:
            with treerings.step("llm", "model", model=model, provider="openai") as step:
                return _told(step, client.chat.completions.create(model=model, **request).model_dump())

        talk: Any = _talk(tool, question)
        arguments = talk.send(ask(next(talk)))
        with treerings.step("tool", tool.__name__):
            result = tool(**arguments)
        return str(talk.send(ask(talk.send(result))))


async def run_async(base_url: str, model: str, tool: AsyncTool, question: str) -> str:
    async with AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        with treerings.step("agent", "own_agent"):

            async def ask(request: Any) -> Any:
                with treerings.step("llm", "model", model=model, provider="openai") as step:
                    return _told(step, (await client.chat.completions.create(model=model, **request)).model_dump())

            talk: Any = _talk(tool, question)
            arguments = talk.send(await ask(next(talk)))
            with treerings.step("tool", tool.__name__):
                result = await tool(**arguments)
            return str(talk.send(await ask(talk.send(result))))
