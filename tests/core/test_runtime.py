"""The recorder of the process: made at first use, changed by name, one for all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import treerings
from treerings import ConfigError, MissingPackage, UnknownName, hookimpl, instrumentation, runtime
from treerings.testing import capture


def a_plugin(**hooks: Any) -> Any:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def test_a_recorder_is_made_once() -> None:
    assert treerings.current_recorder() is treerings.current_recorder()


def test_configure_stores_what_the_recorder_before_had(tmp_path: Any) -> None:
    treerings.configure(store=f"sqlite:///{tmp_path}/a.db")
    with treerings.step("task", "first"):
        pass
    treerings.configure(store=f"sqlite:///{tmp_path}/b.db")
    with treerings.step("task", "second"):
        pass
    treerings.flush()
    names = [[w.name for w in treerings.open_store(f"{tmp_path}/{name}.db").workflows()] for name in "ab"]
    assert names == [["first"], ["second"]]


def test_a_step_that_is_open_while_configured_ends_where_it_began(tmp_path: Any) -> None:
    treerings.configure(store=f"sqlite:///{tmp_path}/a.db")
    with treerings.step("workflow", "run"):
        treerings.configure(store=f"sqlite:///{tmp_path}/b.db")
    assert treerings.flush().dropped == 0
    assert [w.status for w in treerings.open_store(f"{tmp_path}/a.db").workflows()] == ["incomplete"]


def test_a_plugin_registered_by_hand_is_told_at_once() -> None:
    told: list[str] = []
    with capture() as captured:
        name = treerings.register(a_plugin(steps_recorded=lambda steps: told.extend(s.name for s in steps)), "mine")
        with treerings.step("task", "seen"):
            pass
        captured.flush()
        treerings.unregister(name)
        with treerings.step("task", "unseen"):
            pass
        captured.flush()
    assert told == ["seen"]


def test_a_guard_registered_by_hand_guards_at_once() -> None:
    seen: list[str] = []
    with capture():
        treerings.register(a_plugin(step_starting=lambda step: seen.append(step.name)), "guard")
        with treerings.step("task", "guarded"):
            pass
    assert seen == ["guarded"]


def test_a_plugin_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="Plugin 'bad': no hook is called steps_record"):
        treerings.register(a_plugin(steps_record=lambda steps: None), "bad")


def test_a_missing_framework_is_an_error_when_asked_for_and_skipped_when_not() -> None:
    ghost = treerings.Integration(name="ghost", package="ghost_framework", extra="ghost", module="nothing")
    treerings.register(a_plugin(register_integrations=lambda register: register(ghost)), "ghosts")
    with pytest.raises(MissingPackage, match=r"Type: pip install 'treerings\[ghost\]'$"):
        treerings.instrument("ghost")
    assert treerings.instrument().skipped["ghost"].startswith("ghost_framework is not installed. Type: pip install")


def test_an_unknown_framework_comes_with_those_installed() -> None:
    with pytest.raises(UnknownName, match=r"No integration named 'lang'\. Installed: .*langchain"):
        treerings.instrument("lang")


def test_a_framework_that_cannot_be_enabled_does_not_keep_the_others_from_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def broken() -> None:
        raise AttributeError("a version that we do not know")

    modules = {
        "good": SimpleNamespace(instrument=lambda: calls.append("on"), uninstrument=lambda: calls.append("off")),
        "bad": SimpleNamespace(instrument=broken),
    }
    monkeypatch.setattr(treerings.Integration, "load", lambda self: modules[self.name])
    registry = runtime.registry()
    registry.load()
    registry.integrations.clear()
    for name in modules:
        registry.integrations[name] = treerings.Integration(name=name, package="json", extra=name, module=name)
    done = treerings.instrument()
    assert (done.enabled, list(done.skipped)) == (("good",), ["bad"])
    assert done.skipped["bad"].startswith("AttributeError: a version that we do not know (test_runtime.py")
    treerings.uninstrument()
    assert (calls, instrumentation._on) == (["on", "off"], set())
