"""Calls of two models through LiteLLM, with a fallback, recorded without a change to them.

    LITELLM_LOCAL_MODEL_COST_MAP=True python examples/litellm_calls.py

Runs offline: a scripted server in this process plays the models. Needs litellm.
"""

from __future__ import annotations

import asyncio
import os

import treerings
from treerings.testing import ModelServer

QUESTION = [{"role": "user", "content": "Was 1976 a dry year?"}]


async def ask(base_url: str) -> str:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # LiteLLM looks for prices on the network otherwise
    from litellm import Router

    served = {"api_base": base_url, "api_key": "unused", "max_retries": 0}
    router = Router(
        model_list=[
            {"model_name": "small", "litellm_params": {"model": "openai/gpt-5-mini", **served}},
            {"model_name": "large", "litellm_params": {"model": "openai/gpt-5.2", **served}},
        ],
        fallbacks=[{"small": ["large"]}],
        num_retries=0,
    )
    with treerings.step("task", "weather"):
        answer = await router.acompletion(model="small", messages=QUESTION)
    return str(answer.choices[0].message.content)


def main() -> None:
    treerings.instrument("litellm")
    with ModelServer() as server:
        server.when(model="gpt-5-mini").fail(500)
        server.when(model="gpt-5.2").say("Yes, 1976 was dry.")
        print(asyncio.run(ask(server.base_url)))
    print(treerings.flush())


if __name__ == "__main__":
    main()
