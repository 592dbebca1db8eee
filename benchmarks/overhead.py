"""What capture costs a LangChain program, as ratios to the same work without it, in one process.

Bare, a handler that does nothing, and ours take turns in rounds of a tenth of a second, so that a machine that speeds up
or slows down does so for all three. The model is fake and does no I/O; prompt and answer have 1 KB each.
Caller's time is what one call
takes on its thread; CPU is that of the whole process, ours with every step stored in SQLite on disk.

    uv run python benchmarks/overhead.py            # about a minute
    uv run python benchmarks/overhead.py --quick    # to see that it runs
    uv run python benchmarks/overhead.py --integrations   # every framework, see integrations.py
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import gc
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import treerings
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda

PROMPT = ("How old is a tree whose trunk shows this many rings, in a cold valley, after a dry decade? " * 12)[:1024]
ANSWER = ("Count the rings at breast height, add the years that it took to get there, and mind missing rings. " * 12)[
    :1024
]
USAGE = {"input_tokens": 230, "output_tokens": 210, "total_tokens": 440}


class FakeModel(BaseChatModel):
    """Answers at once."""

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini", "ls_model_type": "chat"}

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(ANSWER, usage_metadata=USAGE))])

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return self._generate(messages)


class StreamingModel(FakeModel):
    """Answers in 200 tokens. Apart from the other, since a model that can stream makes LangChain look at handlers more."""

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        for index in range(200):
            chunk = ChatGenerationChunk(message=AIMessageChunk(ANSWER[index * 5 : index * 5 + 5]))
            if run_manager:
                run_manager.on_llm_new_token(chunk.message.content, chunk=chunk)
            yield chunk


class NoOp(BaseCallbackHandler):
    """Hears everything and does nothing."""

    run_inline = True

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None: ...
    def on_chain_end(self, *args: Any, **kwargs: Any) -> None: ...
    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None: ...
    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None: ...
    def on_llm_end(self, *args: Any, **kwargs: Any) -> None: ...


def workflow() -> Any:
    """A chain of nine runs, two of them model calls."""
    model = FakeModel()
    prepare = RunnableLambda(lambda question: [HumanMessage(question)])
    left = RunnableLambda(lambda message: message.content[:200])
    right = RunnableLambda(lambda message: len(message.content))
    parts = RunnableLambda(lambda message: {"text": left.invoke(message), "size": right.invoke(message)})
    back = RunnableLambda(lambda parts: [HumanMessage(f"{parts['text']} {parts['size']}")])
    return prepare | model | parts | back | model | RunnableLambda(lambda message: message.content)


def cases() -> dict[str, tuple[Callable[[list[Any]], Any], int]]:
    """What is measured: a function of the callbacks, and how many calls make a round."""
    model, streaming = FakeModel(), StreamingModel()
    question = [HumanMessage(PROMPT)]
    flow = workflow()
    loop = asyncio.new_event_loop()

    def stream(callbacks: list[Any]) -> None:
        for _ in streaming.stream(question, config={"callbacks": callbacks}):
            pass

    return {
        "invoke": (lambda callbacks: model.invoke(question, config={"callbacks": callbacks}), 1200),
        "ainvoke": (
            lambda callbacks: loop.run_until_complete(model.ainvoke(question, config={"callbacks": callbacks})),
            700,
        ),
        "workflow of 9 runs": (lambda callbacks: flow.invoke(PROMPT, config={"callbacks": callbacks}), 120),
        "stream of 200 tokens": (stream, 60),
    }


def measure(call: Callable[[list[Any]], Any], callbacks: list[Any], count: int, into: dict[str, list[float]]) -> None:
    """One round: every call's time, and the CPU of the whole process with everything stored."""
    clock = time.perf_counter_ns
    cpu = time.process_time_ns()
    for _ in range(count):
        start = clock()
        call(callbacks)
        into["call"].append((clock() - start) / 1000)
    treerings.flush()
    into["cpu"].append((time.process_time_ns() - cpu) / 1000 / count)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument(
        "--integrations", nargs="*", metavar="NAME", help="the other frameworks instead of LangChain's cases"
    )
    options = parser.parse_args()
    if options.integrations is not None:
        from integrations import print_table

        print_table(options.integrations, quick=options.quick)
        return
    rounds = 3 if options.quick else 15
    folder = tempfile.mkdtemp(prefix="treerings-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    treerings.configure(store=f"sqlite:///{folder}/runs.db", flush_interval=0.1)
    from treerings_langchain import CallbackHandler

    contestants = {"bare": [], "no-op": [NoOp()], "treerings": [CallbackHandler()]}
    results: dict[str, Any] = {}
    print(f"{'case':22} {'bare p50':>10} {'no-op':>7} {'ours':>7} {'ours p99':>9} {'CPU no-op':>10} {'CPU ours':>9}")
    for name, (call, count) in cases().items():
        if options.only and options.only not in name:
            continue
        times = {who: {"call": [], "cpu": []} for who in contestants}
        for callbacks in contestants.values():
            measure(call, callbacks, count, {"call": [], "cpu": []})
        gc.collect()
        for _ in range(rounds):
            for who, callbacks in contestants.items():
                measure(call, callbacks, count, times[who])
        p50 = {who: statistics.median(values["call"]) for who, values in times.items()}
        p99 = {who: quantile(values["call"], 0.99) for who, values in times.items()}
        cpu = {who: statistics.median(values["cpu"]) for who, values in times.items()}
        results[name] = {"p50_us": p50, "p99_us": p99, "cpu_us": cpu}
        print(
            f"{name:22} {p50['bare']:8.0f}us {p50['no-op'] / p50['bare']:6.2f}x {p50['treerings'] / p50['bare']:6.2f}x "
            f"{p99['treerings'] / p99['bare']:8.2f}x {cpu['no-op'] / cpu['bare']:9.2f}x {cpu['treerings'] / cpu['bare']:8.2f}x"
        )
    report = treerings.flush()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{report}; at most {rss:.0f} MB resident; {os.cpu_count()} cores")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
