"""Own steps in the matrix: an agent written by hand, its model called through LiteLLM."""

from __future__ import annotations

from typing import Any

import litellm
import treerings
from matrix_cell import WITHOUT_TOOLS, AsyncTool, Tool

NAME, INTEGRATION = "own step/LiteLLM", None


def _options(base_url: str, model: str, text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    name = f"openai/{WITHOUT_TOOLS[model]}"
    return {"model": name, "api_base": base_url, "api_key": "unused", "max_retries": 0, "messages": messages}


def _told(step: Any, answer: Any) -> str:
    step.set(usage=treerings.Usage.from_provider(answer.model_dump()))
    return str(answer.choices[0].message.content)


def run(base_url: str, model: str, tool: Tool, question: str) -> str:
    def ask(text: str) -> str:
        with treerings.step("llm", "model", model=WITHOUT_TOOLS[model], provider="openai") as step:
            return _told(step, litellm.completion(**_options(base_url, model, text)))

    with treerings.step("agent", "own_agent"):
        asked = ask(question)
        with treerings.step("tool", tool.__name__):
            result = tool(question)
        return ask(f"{asked} {result}")


async def run_async(base_url: str, model: str, tool: AsyncTool, question: str) -> str:
    async def ask(text: str) -> str:
        with treerings.step("llm", "model", model=WITHOUT_TOOLS[model], provider="openai") as step:
            return _told(step, await litellm.acompletion(**_options(base_url, model, text)))

    with treerings.step("agent", "own_agent"):
        asked = await ask(question)
        with treerings.step("tool", tool.__name__):
            result = await tool(question)
        return await ask(f"{asked} {result}")
