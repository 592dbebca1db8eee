"""What capture costs the run of each framework: its probe, a small agent with one tool call, as a ratio to the same without.

Every framework runs in a process of its own on a scripted model server on loopback, whose HTTP is part of both sides. Bare
and instrumented rounds take turns. Caller's time is the median of a run on its thread; CPU is that of the whole process, the
model server included, ours with everything stored in SQLite.

    uv run python benchmarks/overhead.py --integrations              # all that are installed
    uv run python benchmarks/overhead.py --integrations crewai agno  # some
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import treerings
from treerings import runtime
from treerings.cli.probing import _answer
from treerings.testing import ModelServer

__all__ = ["print_table"]


def measure(name: str, rounds: int, runs: int) -> dict[str, float]:
    """Ratios of caller's time and CPU, and the bare run in milliseconds."""
    folder = tempfile.mkdtemp(prefix="treerings-benchmark-")
    treerings.configure(store=f"sqlite:///{folder}/runs.db")
    integration = runtime.registry().integration(name)
    module = integration.load()
    times: dict[bool, list[float]] = {False: [], True: []}
    cpu: dict[bool, float] = {False: 0.0, True: 0.0}
    try:
        with ModelServer(default=_answer) as server:
            for round in range(rounds + 1):
                for captured in (False, True):
                    if captured:
                        module.instrument()
                    used = time.process_time()
                    lap = []
                    for _ in range(runs):
                        start = time.perf_counter()
                        module.probe(server.base_url)
                        lap.append(time.perf_counter() - start)
                    treerings.flush()
                    used = time.process_time() - used
                    if captured:
                        module.uninstrument()
                    if round:  # the first one warms up
                        times[captured] += lap
                        cpu[captured] += used
        report = treerings.flush()
        assert report.stored >= rounds * runs, report
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bare = statistics.median(times[False])
    return {
        "bare_ms": bare * 1e3,
        "caller": statistics.median(times[True]) / bare,
        "cpu": cpu[True] / cpu[False],
        "steps": report.stored / ((rounds + 1) * runs),
    }


def print_table(names: list[str], *, quick: bool = False) -> None:
    """One line an integration that is installed; `names` are some of them, or none for all."""
    registry = runtime.registry()
    registry.load()
    print(f"{'integration':17} {'bare ms':>8} {'caller':>7} {'CPU':>6} {'steps':>6}")
    for name in names or sorted(registry.integrations):
        if not registry.integration(name).installed:
            print(f"{name:17} not installed")
            continue
        command = [sys.executable, __file__, name, *(["--quick"] if quick else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            print(f"{name:17} failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:90]}")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:17} {found['bare_ms']:8.1f} {found['caller']:6.2f}x {found['cpu']:5.2f}x {found['steps']:6.1f}",
            flush=True,
        )


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    answers = os.dup(1)
    os.dup2(2, 1)  # what frameworks print is not the answer
    quick = "--quick" in sys.argv
    figures = measure(sys.argv[1], rounds=2 if quick else 6, runs=3 if quick else 10)
    os.write(answers, (json.dumps(figures) + "\n").encode())
    os._exit(0)
