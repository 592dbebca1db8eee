"""What a process leaves behind that is killed without a chance to say goodbye."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import treerings
from treerings import Status

PROGRAM = """
import sys, time
import treerings

with treerings.step("workflow", "long run"):
    number = 0
    while True:
        with treerings.step("agent", f"agent {number}"):
            with treerings.step("tool", f"tool {number}", input={"text": "x" * 500}) as tool:
                tool.set(output=number)
        print(tool.id, time.time(), flush=True)
        number += 1
        time.sleep(0.002)
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")


@pytest.mark.parametrize("seed", range(3))
def test_everything_that_ended_a_second_before_a_kill_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    environment = {**os.environ, "TREERINGS_STORE": url, "TREERINGS_DATA_DIR": str(tmp_path)}
    monkeypatch.setenv("TREERINGS_DATA_DIR", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split()]
        until = float(said[0][1]) + 1.5 + random.Random(seed).random()
        while float(said[-1][1]) < until:
            said.append(process.stdout.readline().split())
        process.send_signal(signal.SIGKILL)
        killed = time.time()
        process.wait()
    store = treerings.open_store(url)
    (listed,) = store.workflows()
    workflow = store.workflow(listed.id)
    assert workflow is not None
    stored = {step.id: step for step in workflow.steps}
    must_be_there = [id for id, at in (line for line in said if len(line) == 2) if float(at) < killed - 1]
    assert must_be_there
    assert [id for id in must_be_there if id not in stored or stored[id].status is not Status.OK] == []
    assert workflow.status is Status.INCOMPLETE
    assert not [step for step in workflow.steps if step.status is Status.RUNNING]
    store.close()
