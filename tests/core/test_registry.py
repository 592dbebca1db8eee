"""Plugins: loaded one by one, told one by one, and what is said of broken ones."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from treerings import ConfigError, Integration, MissingPackage, StopWorkflow, UnknownName, hookimpl
from treerings.memory import MemoryStore
from treerings.registry import Registry

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with one plugin module on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, text: str, *, distribution: str | None = None, module: str | None = None) -> None:
        distribution = distribution or f"treerings-{name}"
        module = module or f"plugin_{distribution.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[treerings]\n{name} = {module}\n")
        importlib.invalidate_caches()
        sys.modules.pop(module, None)

    return put


STORE = """
from treerings import hookimpl
from treerings.memory import MemoryStore

@hookimpl
def register_stores(register):
    register("house", MemoryStore)
"""


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.exc_info is None for record in caplog.records if record.levelno > logging.DEBUG)
    return [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]


def a_plugin(**hooks: Callable[..., Any]) -> Any:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


@pytest.fixture
def registry() -> Registry:
    return Registry(entry_points=False)


# -- loading ------------------------------------------------------------------------------------------------------


def test_an_installed_plugin_is_found_with_its_version(install: Install) -> None:
    install("house", STORE)
    registry = Registry()
    assert isinstance(registry.open_store("house://x"), MemoryStore)
    info = registry.infos["house"]
    assert (info.distribution, info.version, info.hooks, info.contributes, info.problem) == (
        "treerings-house",
        "1.2",
        ("register_stores",),
        ["store house"],
        None,
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "import not_there_at_all",
            "ModuleNotFoundError: No module named 'not_there_at_all' (plugin_treerings_bad.py, line 1)",
        ),
        ("x = 1\nraise SystemExit(3)", "SystemExit: 3 (plugin_treerings_bad.py, line 2)"),
        ("1 / 0", "ZeroDivisionError: division by zero (plugin_treerings_bad.py, line 1)"),
        ("def", "SyntaxError: invalid syntax (plugin_treerings_bad.py, line 1)"),
    ],
)
def test_a_broken_plugin_is_one_line_and_the_rest_works(
    install: Install, caplog: pytest.LogCaptureFixture, text: str, problem: str
) -> None:
    install("bad", text)
    install("house", STORE)
    registry = Registry()
    registry.load()
    assert (registry.infos["bad"].problem or "").startswith(f"cannot be loaded: {problem}")
    assert "house" in registry.stores
    (line,) = messages(caplog)
    assert line.startswith(f"Plugin 'bad' (plugin_treerings_bad of treerings-bad) cannot be loaded: {problem}")


def test_a_disabled_plugin_is_not_imported(install: Install) -> None:
    install("bad", "1 / 0")
    registry = Registry(disabled=["bad"])
    registry.load()
    assert registry.infos["bad"].problem == "disabled by the setting disabled_plugins"


def test_a_misspelt_hook_is_reported_with_those_that_exist(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("typo", "from treerings import hookimpl\n@hookimpl\ndef step_recorded(steps): ...")
    registry = Registry()
    registry.load()
    problem = registry.infos["typo"].problem or ""
    assert problem.startswith("no hook is called step_recorded. Hooks: count_tokens, price_usage, register_")
    assert messages(caplog) == [f"Plugin 'typo': {problem}"]


def test_a_wrong_argument_is_reported(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("wrong", "from treerings import hookimpl\n@hookimpl\ndef steps_recorded(step): ...")
    registry = Registry()
    registry.load()
    assert "hookimpl definition" in (registry.infos["wrong"].problem or "") or "argument" in (
        registry.infos["wrong"].problem or ""
    )
    assert not registry.implemented("steps_recorded")


def test_two_plugins_with_one_name_are_both_named(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("house", STORE)
    install("house", STORE.replace("house", "other"), distribution="other-house")
    registry = Registry()
    registry.load()
    (line,) = messages(caplog)
    assert "two plugins are named 'house'" in line
    assert "of treerings-house" in line
    assert "of other-house" in line
    assert len(registry.stores.keys() & {"house", "other"}) == 1


def test_two_plugins_with_one_store_are_both_named(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("first", STORE)
    install("second", STORE)
    registry = Registry()
    registry.load()
    (line,) = messages(caplog)
    assert "ConfigError: plugins 'first' and 'second' both register store 'house'" in line or (
        "ConfigError: plugins 'second' and 'first' both register store 'house'" in line
    )


# -- by hand ------------------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_is_refused(registry: Registry) -> None:
    registry.register(a_plugin(), "mine")
    with pytest.raises(
        ConfigError, match=r"^Plugin 'mine': two plugins are named 'mine': the one loaded first is used"
    ):
        registry.register(a_plugin(), "mine")


def test_a_plugin_that_is_registered_already_is_refused(registry: Registry) -> None:
    plugin = a_plugin()
    registry.register(plugin, "mine")
    with pytest.raises(ConfigError, match=r"^Plugin 'again': it is already registered under the name 'mine'$"):
        registry.register(plugin, "again")


def test_a_misspelt_hook_is_refused(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="no hook is called step_recorded"):
        registry.register(a_plugin(step_recorded=lambda steps: None), "typo")


def test_a_wrapper_is_refused(registry: Registry) -> None:
    def steps_recorded(steps: Any) -> Any:
        yield

    plugin = SimpleNamespace(steps_recorded=hookimpl(steps_recorded, wrapper=True))
    with pytest.raises(ConfigError, match="steps_recorded wraps other plugins, which Treerings does not call"):
        registry.register(plugin, "wrapper")
    assert not registry.implemented("steps_recorded")


def test_what_a_plugin_contributed_goes_with_it(registry: Registry) -> None:
    registry.register(a_plugin(register_stores=lambda register: register("house", MemoryStore)), "mine")
    registry.unregister("mine")
    assert (registry.stores, registry.infos) == ({}, {})
    with pytest.raises(UnknownName, match=r"^No plugin named 'mine'\. Loaded: none\.$"):
        registry.unregister("mine")


def test_a_plugin_that_registers_late_is_told_of_the_start(registry: Registry) -> None:
    told: list[str] = []
    registry.tell("startup", recorder="recorder")
    registry.register(a_plugin(startup=lambda recorder: told.append(recorder)), "late")
    assert told == ["recorder"]


# -- telling, asking, guarding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), GeneratorExit()])
def test_a_plugin_that_raises_is_logged_once_and_the_others_are_told(
    registry: Registry, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    told: list[str] = []

    def fail(steps: Any) -> None:
        raise error

    registry.register(a_plugin(steps_recorded=lambda steps: told.append("first")), "first")
    registry.register(a_plugin(steps_recorded=fail), "bad")
    registry.register(a_plugin(steps_recorded=lambda steps: told.append("last")), "last")
    registry.tell("steps_recorded", steps=[])
    registry.tell("steps_recorded", steps=[])
    assert sorted(told) == ["first", "first", "last", "last"]
    (line,) = messages(caplog)
    assert line.startswith(f"Plugin 'bad': steps_recorded failed: {type(error).__name__}: ")
    assert "test_registry.py, line" in line
    assert (registry.infos["bad"].problem or "").startswith("steps_recorded failed")


def test_the_first_answer_is_taken_and_a_plugin_that_raises_is_passed_over(registry: Registry) -> None:
    registry.register(a_plugin(count_tokens=lambda model, text: 7), "answers")
    registry.register(a_plugin(count_tokens=lambda model, text: 1 / 0), "fails")
    registry.register(a_plugin(count_tokens=lambda text: None), "passes")
    assert registry.ask("count_tokens", model=None, text="a") == 7


def test_a_guard_lets_only_a_stop_through(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    def stop(step: Any) -> None:
        raise StopWorkflow("enough")

    registry.register(a_plugin(step_starting=stop), "budget")
    registry.register(a_plugin(step_starting=lambda step: 1 / 0), "bad")
    with pytest.raises(StopWorkflow, match="enough"):
        registry.guard("step_starting", step=None)
    assert "Plugin 'bad': step_starting failed: ZeroDivisionError" in caplog.text


# -- what there is ------------------------------------------------------------------------------------------------


def test_an_unknown_store_comes_with_those_installed(registry: Registry) -> None:
    with pytest.raises(UnknownName) as raised:
        registry.open_store("redis://user:pass@host/1")
    assert str(raised.value) == "No store named 'redis' (in 'redis://user:***@host/1'). Installed: none."


def test_a_missing_framework_ends_with_the_line_to_type(registry: Registry) -> None:
    integration = Integration(name="ghost", package="ghost_framework", extra="ghost", module="nothing")
    registry.register(a_plugin(register_integrations=lambda register: register(integration)), "mine")
    assert registry.integration("ghost") is integration
    with pytest.raises(MissingPackage) as raised:
        integration.load()
    assert str(raised.value) == (
        "ghost needs ghost_framework, which is not installed. Type: pip install 'treerings[ghost]'"
    )
    with pytest.raises(UnknownName, match=r"^No integration named 'spirit'\. Installed: ghost\.$"):
        registry.integration("spirit")
