"""Every installed integration at once: capture begins with the imports, twice is once, and nothing of it stays behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from treerings.registry import Registry

PROGRAM = '''
import gc, json, logging, sys, warnings
warnings.simplefilter("ignore")
import treerings
from treerings import instrumentation, runtime

logging.basicConfig(level=logging.CRITICAL)
problems = []
class Problems(logging.Handler):
    def emit(self, record): problems.append(record.getMessage())
logging.getLogger("treerings").addHandler(Problems(logging.ERROR))

registry = runtime.registry()
registry.load()
wanted = json.loads(sys.argv[1])
for name in list(registry.integrations):
    if name not in wanted:
        del registry.integrations[name]

done = treerings.instrument()
early = sorted(set(sys.modules) & {integration.package for integration in registry.integrations.values()})
for integration in list(registry.integrations.values()):
    __import__(integration.package)
waits = instrumentation.waiting()
on = sorted(instrumentation._on)
treerings.uninstrument()

def attributes():
    """What every module and class of others holds, by its place."""
    found = {}
    holders = [value for value in gc.get_objects() if isinstance(value, type)] + list(sys.modules.values())
    for holder in holders:
        name = getattr(holder, "__module__", "") if isinstance(holder, type) else getattr(holder, "__name__", "")
        if isinstance(name, str) and not name.startswith(("treerings", "__main__", "abc")):
            for key, value in list(vars(holder).items()):  # flags and counters are the frameworks' own
                if not key.startswith(("_abc_", "__abstract")) and not isinstance(value, (bool, int, str, type(None))):
                    found[id(holder), f"{name}.{getattr(holder, '__qualname__', '')}.{key}"] = value
    return found

def differing(first, second):
    missing = object()
    holders = {holder for holder, _ in first} & {holder for holder, _ in second}  # what was imported since does not matter
    keys = {key for key in (*first, *second) if key[0] in holders}
    return {
        key
        for key in keys
        if first.get(key, missing) is not second.get(key, missing) and type(second.get(key)) is not type(sys)
    }

before = attributes()
treerings.instrument()
once = attributes()
treerings.instrument()
twice = attributes()
treerings.uninstrument()
after = attributes()
changed = differing(before, once)
result = {
    "enabled": sorted(done.enabled), "early": early, "waits": waits, "on": on, "problems": problems,
    "changed": sorted(name for _, name in changed),
    "again": sorted(name for _, name in differing(once, twice)),
    "left": sorted(name for _, name in changed & differing(before, after)),
    "machinery": [repr(finder) for finder in sys.meta_path if type(finder).__module__.startswith("treerings")],
    "on_after": sorted(instrumentation._on),
}
print("RESULT" + json.dumps(result))
'''
"""What is looked at in a process of its own: it imports every framework."""

QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "AGNO_TELEMETRY": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
}


def installed() -> list[str]:
    registry = Registry()
    registry.load()
    return sorted(
        name
        for name, integration in registry.integrations.items()
        if integration.installed and find_spec(integration.module) is not None
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    if not installed():
        pytest.skip("no framework is installed")
    program = tmp_path_factory.mktemp("all") / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), json.dumps(installed())],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=program.parent,
        env={**os.environ, **QUIET, "TREERINGS_DATA_DIR": str(Path(program.parent) / "data")},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert lines, done.stderr[-3000:]
    result: dict[str, object] = json.loads(lines[-1].removeprefix("RESULT"))
    return result


def test_everything_installed_is_enabled_and_nothing_imported(seen: dict[str, object]) -> None:
    assert seen["enabled"] == installed()
    assert seen["early"] == []


def test_every_framework_is_captured_once_it_is_imported(seen: dict[str, object]) -> None:
    assert (seen["waits"], seen["problems"]) == ([], [])
    assert seen["on"] == installed()


def test_twice_is_once(seen: dict[str, object]) -> None:
    assert seen["again"] == []


def test_no_patched_attribute_stays_behind(seen: dict[str, object]) -> None:
    assert seen["changed"]
    assert (seen["left"], seen["on_after"]) == ([], [])


def test_the_import_machinery_is_as_before(seen: dict[str, object]) -> None:
    assert seen["machinery"] == []
