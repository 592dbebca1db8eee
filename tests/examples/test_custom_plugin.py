"""The example plugin works once it is installed: found through its entry point, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "custom_plugin"


class Installed:
    """A folder with the plugin as `pip install` would lay it out, in front of everything else that Python finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (EXAMPLE / "pyproject.toml").open("rb") as file:
            project = tomllib.load(file)["project"]
        shutil.copy(EXAMPLE / "treerings_house_rules.py", folder)
        info = folder / f"treerings_house_rules-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines = [f"{name} = {value}" for name, value in project["entry-points"]["treerings"].items()]
        (info / "entry_points.txt").write_text("\n".join(["[treerings]", *lines]))

    def run(self, *arguments: str, **variables: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("TREERINGS_", "HOUSE_"))}
        environment |= {"PYTHONPATH": str(self.folder), "TREERINGS_DATA_DIR": str(self.folder / "data"), **variables}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def program(self, text: str, **variables: str) -> str:
        (self.folder / "program.py").write_text(text)
        return self.run("program.py", **variables)


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


SLOW = """
import time
import treerings

with treerings.step("workflow", "survey"):
    with treerings.step("tool", "measure"):
        time.sleep(0.03)
    with treerings.step("tool", "glance"):
        pass
"""

CALLS = """
import treerings

made = 0
try:
    with treerings.step("workflow", "survey"):
        for _ in range(10):
            with treerings.step("llm", "ask"):
                made += 1
except treerings.StopWorkflow as stop:
    print(made, "calls:", stop)
treerings.flush()
print(treerings.open_store().workflows()[0].status)
"""

PRICED = """
import treerings

with treerings.step("llm", "ask", model="house-oak", input="three bytes a token") as call:
    call.set(output="yes")
treerings.flush()
step = treerings.open_store().workflow(call.id).steps[0]
print(step.usage.output_tokens, step.estimated, step.cost_usd, step.price["rule"])
"""


def test_an_installed_plugin_is_listed_with_what_it_contributes(installed: Installed) -> None:
    listed = installed.run("-m", "treerings", "plugins", "--json")
    assert '"house_rules"' in listed
    assert "processor house-slow" in listed


def test_slow_steps_are_marked_and_listed_by_the_plugins_command(installed: Installed) -> None:
    printed = installed.program(SLOW, HOUSE_SLOW_MS="20")
    assert "survey took" in printed
    assert "Slow 1 times: tool measure" in printed
    listed = installed.run("-m", "treerings", "slow")
    assert "tool measure" in listed
    assert "tool glance" not in listed


def test_a_workflow_is_stopped_at_the_first_model_call_too_many(installed: Installed) -> None:
    printed = installed.program(CALLS, HOUSE_MAX_CALLS="3")
    assert printed.startswith("3 calls: The house allows 3 model calls")
    assert printed.endswith("cancelled\n")


def test_the_houses_model_is_counted_and_priced_by_the_plugin(installed: Installed) -> None:
    assert installed.program(PRICED).splitlines()[-1] == "1 True 0.0000012 house/electricity"


def test_a_setting_that_is_no_number_is_shown_as_the_plugins_problem(installed: Installed) -> None:
    listed = installed.run("-m", "treerings", "plugins", "--json", HOUSE_MAX_CALLS="many")
    assert "cannot be loaded: ValueError" in listed
