"""`treerings.instrument()`: what is imported is captured now, the rest when the program imports it; all of it is undone."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import treerings
from treerings import instrumentation, late_imports, runtime
from treerings.errors import MissingPackage

INTEGRATION = """
import {framework}
calls = []
def instrument():
    calls.append("on")
    {framework}.observed = True
def uninstrument():
    calls.append("off")
    {framework}.observed = False
"""

Make = Callable[..., None]


@pytest.fixture
def frameworks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a framework and its integration, neither imported; no other integration is there."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    registry = runtime.registry()
    registry.load()
    registry.integrations.clear()

    def make(name: str, *, code: str = "observed = False", own_init: str = "", integration: str = INTEGRATION) -> None:
        (tmp_path / f"{name}_sdk.py").write_text(code)
        own = tmp_path / f"rings_of_{name}"
        own.mkdir(exist_ok=True)
        (own / "__init__.py").write_text(own_init)
        (own / "integration.py").write_text(integration.format(framework=f"{name}_sdk"))
        importlib.invalidate_caches()
        registry.integrations[name] = treerings.Integration(
            name=name, package=f"{name}_sdk", extra=name, module=f"rings_of_{name}.integration"
        )

    yield make
    instrumentation.uninstrument()
    for module in set(sys.modules) - before:
        del sys.modules[module]


def calls(name: str) -> list[str]:
    module = sys.modules.get(f"rings_of_{name}.integration")
    return [] if module is None else list(module.calls)


def test_without_names_no_framework_is_imported(frameworks: Make) -> None:
    frameworks("oak")
    done = treerings.instrument()
    assert (done.enabled, done.waiting, done.skipped) == (("oak",), ("oak",), {})
    assert {"oak_sdk", "rings_of_oak"}.isdisjoint(sys.modules)


def test_a_framework_is_captured_from_its_import_on(frameworks: Make) -> None:
    frameworks("oak")
    treerings.instrument()
    assert importlib.import_module("oak_sdk").observed
    assert instrumentation.waiting() == ()
    assert treerings.instrument().waiting == ()


def test_what_is_imported_is_captured_at_once(frameworks: Make) -> None:
    frameworks("oak")
    oak = importlib.import_module("oak_sdk")
    done = treerings.instrument()
    assert (done.enabled, done.waiting) == (("oak",), ())
    assert oak.observed


def test_by_name_it_is_imported_and_captured_at_once(frameworks: Make) -> None:
    frameworks("oak")
    frameworks("elm")
    treerings.instrument()
    assert treerings.instrument("oak").waiting == ()
    assert sys.modules["oak_sdk"].observed
    assert instrumentation.waiting() == ("elm",)


def test_twice_is_once_before_and_after_the_import(frameworks: Make) -> None:
    frameworks("oak")
    treerings.instrument()
    treerings.instrument()
    importlib.import_module("oak_sdk")
    assert calls("oak") == ["on"]
    treerings.uninstrument()
    treerings.uninstrument()
    assert calls("oak") == ["on", "off"]


def test_undone_before_the_import_nothing_waits_and_the_machinery_is_as_before(frameworks: Make) -> None:
    frameworks("oak")
    machinery = list(sys.meta_path)
    treerings.instrument()
    treerings.uninstrument("oak")
    assert sys.meta_path == machinery
    assert not importlib.import_module("oak_sdk").observed


def test_undone_after_the_import_it_can_be_done_again(frameworks: Make) -> None:
    frameworks("oak")
    treerings.instrument()
    oak = importlib.import_module("oak_sdk")
    treerings.uninstrument()
    assert not oak.observed
    treerings.instrument()
    assert oak.observed


def test_the_integrations_own_package_may_be_what_imports_the_framework(
    frameworks: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """`treerings.instrument()`, then `from treerings_langchain import CallbackHandler`: it is half there at that import."""
    own_init = "import oak_sdk\nHandler = 1"
    frameworks("oak", own_init=own_init, integration="from rings_of_oak import Handler\n" + INTEGRATION)
    treerings.instrument()
    importlib.import_module("rings_of_oak")
    assert calls("oak") == ["on"]
    assert caplog.records == []
    assert late_imports._finder not in sys.meta_path


def test_an_integration_that_fails_at_the_import_is_logged_once_and_the_import_succeeds(
    frameworks: Make, caplog: pytest.LogCaptureFixture
) -> None:
    frameworks("oak", integration="from {framework} import gone")
    treerings.instrument()
    with caplog.at_level(logging.ERROR, "treerings"):
        importlib.import_module("oak_sdk")
        importlib.reload(sys.modules["oak_sdk"])
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("The integration 'oak' cannot be enabled: ImportError: cannot import name 'gone'")
    assert list(treerings.instrument().skipped) == ["oak"]


def test_one_that_cannot_be_undone_does_not_keep_the_others_from_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, frameworks: Make
) -> None:
    for name in ("elm", "fir", "oak"):
        frameworks(name)
    done = treerings.instrument("elm", "fir", "oak")

    def broken() -> None:
        raise RuntimeError("stuck")

    monkeypatch.setattr(sys.modules["rings_of_fir.integration"], "uninstrument", broken)
    with caplog.at_level(logging.ERROR, "treerings"):
        treerings.uninstrument()
    assert done.enabled == ("elm", "fir", "oak")
    assert (calls("elm"), calls("oak"), instrumentation._on) == (["on", "off"], ["on", "off"], set())
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("The integration 'fir' cannot be undone: RuntimeError: stuck")


def test_what_was_done_can_be_read(frameworks: Make) -> None:
    frameworks("elm")
    frameworks("oak")
    importlib.import_module("elm_sdk")
    ghost = treerings.Integration(name="ghost", package="ghost_sdk", extra="ghost", module="nothing")
    runtime.registry().integrations["ghost"] = ghost
    assert str(treerings.instrument()) == (
        "capturing elm\n"
        "as soon as imported: oak\n"
        "not ghost: ghost_sdk is not installed. Type: pip install 'treerings[ghost]'"
    )
    assert str(instrumentation.Instrumented()) == "nothing that can be captured is installed"


def test_a_package_of_the_same_name_is_not_the_framework(frameworks: Make) -> None:
    """`agents` is what openai-agents is imported as, and what many programs call a folder of their own."""
    frameworks("oak")
    registry = runtime.registry()
    registry.integrations["oak"] = treerings.Integration(
        name="oak",
        package="oak_sdk",
        distribution="oak-of-the-registry",
        extra="oak",
        module="rings_of_oak.integration",
    )
    assert treerings.instrument().skipped == {"oak": "oak_sdk is not installed. Type: pip install 'treerings[oak]'"}
    with pytest.raises(MissingPackage):
        treerings.instrument("oak")


def test_a_script_that_imports_a_framework_after_the_start_of_run_is_captured(tmp_path: Path) -> None:
    framework = "observers = []\ndef work():\n    for observer in observers: observer()\n"
    (tmp_path / "oak_sdk.py").write_text(framework)
    (tmp_path / "rings_of_oak.py").write_text(
        "import oak_sdk, treerings\n"
        "def observe():\n    with treerings.step('agent', 'seen'): pass\n"
        "def instrument(): oak_sdk.observers.append(observe)\n"
        "def uninstrument(): oak_sdk.observers.remove(observe)\n"
    )
    (tmp_path / "rings_of_oak_plugin.py").write_text(
        "from treerings import Integration, hookimpl\n"
        "@hookimpl\n"
        "def register_integrations(register):\n"
        "    register(Integration(name='oak', package='oak_sdk', extra='oak', module='rings_of_oak'))\n"
    )
    (tmp_path / "rings_of_oak-1.dist-info").mkdir()
    (tmp_path / "rings_of_oak-1.dist-info" / "METADATA").write_text("Name: rings-of-oak\nVersion: 1\n")
    (tmp_path / "rings_of_oak-1.dist-info" / "entry_points.txt").write_text("[treerings]\noak = rings_of_oak_plugin\n")
    (tmp_path / "app.py").write_text(
        "import sys\nassert 'oak_sdk' not in sys.modules\nimport oak_sdk\noak_sdk.work()\n"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "sys.argv = ['treerings', 'run', 'app.py']; from treerings.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.startswith("treerings: 1 workflow, 1 step"), done.stderr


def test_a_third_partys_module_needs_no_package_of_its_own(frameworks: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    frameworks("oak")
    on: list[str] = []
    module = SimpleNamespace(instrument=lambda: on.append("on"), uninstrument=lambda: on.append("off"))
    monkeypatch.setattr(treerings.Integration, "load", lambda self: module)
    treerings.instrument()
    importlib.import_module("oak_sdk")
    assert on == ["on"]
