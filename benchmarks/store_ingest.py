"""How fast a store takes steps: `python benchmarks/store_ingest.py [URL] [--steps N] [--batch N] [--busy] [--updates]`.

Steps have 2 KB of payload and come in workflows of nine. `--busy` keeps another thread of the process computing,
`--updates` writes every step twice, running and ended. Figures are of `Store.write` alone: no recorder, no tree.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from treerings.clock import SystemClock
from treerings.events import Kind, Status
from treerings.records import Step
from treerings.registry import Registry
from treerings.usage import Usage

_KINDS = (Kind.WORKFLOW, Kind.AGENT, Kind.LLM, Kind.TOOL, Kind.LLM, Kind.TOOL, Kind.LLM, Kind.RETRIEVER, Kind.LLM)
_TEXT = "The quick brown fox jumps over the lazy dog. " * 23


def steps(count: int) -> Iterator[Step]:
    clock = SystemClock()
    workflow_id = ""
    for number in range(count):
        place = number % len(_KINDS)
        id = clock.new_id()
        if place == 0:
            workflow_id = id
        kind = _KINDS[place]
        call = kind is Kind.LLM
        started = clock.time_ns()
        yield Step(
            id=id,
            workflow_id=workflow_id,
            parent_id=None if place == 0 else workflow_id,
            sequence=number,
            kind=kind,
            name=f"{kind.value} {place}",
            source="langchain",
            status=Status.OK,
            started_ns=started,
            agent=f"agent {number % 7}",
            model="gpt-4o-mini" if call else None,
            provider="openai" if call else None,
            ended_ns=started + 1_234_567_000,
            duration_ms=1234.567,
            usage=Usage(input_tokens=1200, output_tokens=number % 500, cache_read_tokens=1024) if call else None,
            cost_usd=Decimal(number % 500) / 1_000_000 if call else None,
            price={"source": "snapshot", "version": "2026-11-01", "rule": "gpt-4o-mini"} if call else None,
            session_id=f"s-{number // 900}",
            user_id=f"u-{number // 90 % 100}",
            labels={"team": "growth", "stage": "prod"},
            input={"messages": [{"role": "user", "content": f"{number} {_TEXT}"}]},
            output={"content": _TEXT},
        )


def twice(batches: list[list[Step]]) -> Iterator[list[Step]]:
    """Every batch running, then ended."""
    for batch in batches:
        yield [
            replace(
                step, status=Status.RUNNING, ended_ns=None, duration_ms=None, usage=None, cost_usd=None, output=None
            )
            for step in batch
        ]
        yield [replace(step, input=None) for step in batch]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--updates", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Registry().open_store(options.url or str(Path(folder, "ingest.db")))
        made = list(steps(options.steps))
        batches = [made[start : start + options.batch] for start in range(0, len(made), options.batch)]
        if options.updates:
            batches = list(twice(batches))
        count = sum(map(len, batches))
        done = threading.Event()
        if options.busy:
            threading.Thread(target=_compute, args=(done,), daemon=True).start()
        processor, began = _processor_seconds(), time.perf_counter()
        slowest = 0.0
        for batch in batches:
            before = time.perf_counter()
            store.write(batch)
            slowest = max(slowest, time.perf_counter() - before)
        elapsed, used = time.perf_counter() - began, _processor_seconds() - processor
        done.set()
        print(f"{count / elapsed:,.0f} states/s in batches of {options.batch}", end="")
        print("" if options.busy else f", {used / count * 1e6:.1f} µs of processor time each", end="")
        print(f", slowest batch {slowest * 1000:.0f} ms")
        store.close()


def _compute(done: threading.Event) -> None:
    while not done.is_set():
        sum(range(1000))


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
