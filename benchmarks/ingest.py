"""How many steps a second one process records into SQLite, alone and beside a thread that keeps the CPU busy; and its memory.

Workflows of ten steps (an agent, model calls, tools), 2 KB of input and output a step, said through the recorder as an
integration does and stored on disk. A million steps show whether memory and pace stay flat.

    uv run python benchmarks/ingest.py                  # 200,000 steps, then 50,000 beside a busy thread
    uv run python benchmarks/ingest.py --steps 1000000  # memory over a million steps
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import treerings
from treerings import Kind, Recorder, Usage

TEXT = ("The ring of a dry year is narrow, that of a wet one wide; the pattern dates the timber of a roof. " * 20)[
    :1024
]


def record_workflow(recorder: Recorder, number: int) -> int:
    """Say one workflow of ten steps; each text is a string of its own."""
    question = f"{number} {TEXT}"
    root = recorder.start(
        Kind.WORKFLOW, "team", source="benchmark", input=question, labels={"session_id": f"s-{number % 1000}"}
    )
    agent = recorder.start(Kind.AGENT, f"agent-{number % 5}", source="benchmark", parent=root, input=question)
    for turn in range(4):
        call = recorder.start(
            Kind.LLM,
            "chat",
            source="benchmark",
            parent=agent,
            input=f"{turn} {question}",
            model="gpt-4o-mini",
            provider="openai",
        )
        recorder.end(call, output=f"{turn} {question}", usage=Usage(input_tokens=250 + turn, output_tokens=200))
        tool = recorder.start(Kind.TOOL, "search", source="benchmark", parent=agent, input=f"{turn} {question}")
        recorder.end(tool, output=f"{turn} {question}")
    recorder.end(agent, output=f"done {question}")
    recorder.end(root, output=f"done {question}")
    return 10


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def run(steps: int) -> None:
    recorder = treerings.current_recorder()
    stored_before = treerings.flush().stored
    cpu, start = time.process_time(), time.perf_counter()
    said = number = 0
    mark, lap = start, max(steps // 10, 10)
    while said < steps:
        said += record_workflow(recorder, number)
        number += 1
        if said % lap == 0:
            now = time.perf_counter()
            print(f"  {said:>9,} said  {lap / (now - mark):>8,.0f} steps/s  {resident_mb():>5.0f} MB resident")
            mark = now
    report = treerings.flush()
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    stored = report.stored - stored_before
    assert stored == said, f"{said} said, {stored} stored"
    print(f"  {stored / wall:,.0f} steps/s, {used / said * 1e6:.0f} us CPU a step; {report}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--store", help="another store's URL")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="treerings-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    treerings.configure(store=options.store or f"sqlite:///{folder}/runs.db")
    print("alone")
    run(options.steps)
    print("beside a busy thread")
    stop = threading.Event()

    def spin() -> None:
        value = 0
        while not stop.is_set():
            for step in range(10_000):
                value = (value * 31 + step) % 1_000_003

    busy = threading.Thread(target=spin, daemon=True)
    busy.start()
    run(max(options.steps // 4, 1_000))
    stop.set()
    busy.join()
    size = sum(path.stat().st_size for path in Path(folder).iterdir())
    print(f"{size / 1e6:.0f} MB on disk; {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
