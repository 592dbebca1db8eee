"""Settings: where they come from, which goes first, and what is said of wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import treerings
from treerings import ConfigError, runtime
from treerings.settings import given_settings, load_settings, origins, usable_settings


def toml(text: str, folder: Path | None = None) -> Path:
    path = (folder or Path.cwd()) / "treerings.toml"
    path.write_text(text)
    return path


def error_of(**given: object) -> str:
    with pytest.raises(ConfigError) as raised:
        load_settings(**given)
    return str(raised.value)


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings()
    assert (settings.content, settings.flush_interval, settings.sample) == ("truncated", 0.1, 1.0)
    assert settings.store == f"sqlite:///{os.environ['TREERINGS_DATA_DIR']}/treerings.db"


def test_the_call_goes_before_the_environment_and_that_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    toml('content = "none"\nsample = 0.5\nmax_queue = 7')
    monkeypatch.setenv("TREERINGS_SAMPLE", "0.25")
    monkeypatch.setenv("TREERINGS_MAX_QUEUE", "8")
    settings = load_settings(max_queue=9)
    assert (settings.content, settings.sample, settings.max_queue) == ("none", 0.25, 9)


def test_the_nearest_file_upwards_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    toml("sample = 0.1")
    inner = Path("a/b")
    inner.mkdir(parents=True)
    toml("sample = 0.2", Path("a"))
    monkeypatch.chdir(inner)
    assert load_settings().sample == 0.2


def test_the_file_that_is_named_goes_before_those_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toml("sample = 0.1")
    monkeypatch.setenv("TREERINGS_CONFIG", str(toml("sample = 0.3", tmp_path)))
    assert load_settings().sample == 0.3


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    toml("sample = 0.1")
    monkeypatch.setenv("TREERINGS_SAMPLE", "")
    assert load_settings().sample == 0.1


@pytest.mark.parametrize("text", ["jsonl, sql", '["jsonl", "sql"]', "jsonl,sql,"])
def test_names_of_plugins_are_typed_with_commas(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TREERINGS_DISABLED_PLUGINS", text)
    assert load_settings().disabled_plugins == ("jsonl", "sql")


def test_prices_are_typed_as_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREERINGS_PRICES", '{"mine": {"input": 1}}')
    assert load_settings().prices == {"mine": {"input": 1}}


def test_a_misspelt_key_is_named_with_the_right_one() -> None:
    path = toml('contents = "none"')
    assert error_of() == f"Unknown setting 'contents' in {path}. Did you mean 'content'?"
    path.unlink()
    assert error_of(stroe="x") == "Unknown setting 'stroe' in the call. Did you mean 'store'?"


def test_an_unknown_key_comes_with_those_that_exist() -> None:
    assert "Known: content, deployments, disabled_plugins, durability" in error_of(zebra=1)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sample", "a lot", "Input should be a valid number, unable to parse string as a number; got 'a lot'."),
        ("sample", "2", "Input should be less than or equal to 1; got '2'."),
        ("content", "ful", "Input should be 'full', 'truncated', 'hash' or 'none'; got 'ful'."),
        ("prices", "cheap", "Input should be a valid dictionary; got 'cheap'."),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, message: str
) -> None:
    assert error_of(**{key: value}) == f"Setting {key!r} in the call: {message}"
    path = toml(f'{key} = "{value}"')
    assert error_of() == f"Setting {key!r} in {path}: {message}"
    monkeypatch.setenv(f"TREERINGS_{key.upper()}", value)
    assert error_of() == f"Setting {key!r} in the environment (TREERINGS_{key.upper()}): {message}"


def test_what_is_no_toml_is_said() -> None:
    path = toml("content = none")
    assert error_of().startswith(f"{path} is not valid TOML: Invalid value (at line 1")


def test_a_file_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TREERINGS_CONFIG", str(tmp_path))
    assert error_of() == f"Cannot read {tmp_path}: Is a directory"
    monkeypatch.setenv("TREERINGS_CONFIG", str(tmp_path / "missing.toml"))
    assert error_of() == f"Cannot read {tmp_path / 'missing.toml'}: No such file or directory"


def test_the_origin_of_each_setting_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    path = toml("sample = 0.5\nmax_queue = 3")
    monkeypatch.setenv("TREERINGS_SAMPLE", "0.25")
    found = origins(load_settings())
    assert (found["sample"], found["max_queue"], found["content"]) == (
        "environment TREERINGS_SAMPLE",
        str(path),
        "default",
    )


def test_wrong_settings_leave_the_right_ones_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    path = toml('contents = "none"\nmax_queue = "many"\nsample = 0.5')
    monkeypatch.setenv("TREERINGS_FLUSH_INTERVAL", "soon")
    monkeypatch.setenv("TREERINGS_CONTENT", "hash")
    settings, problems = usable_settings()
    assert (settings.sample, settings.content, settings.max_queue, settings.flush_interval) == (
        0.5,
        "hash",
        20_000,
        0.1,
    )
    assert {problem.partition(":")[0] for problem in problems} == {
        f"Unknown setting 'contents' in {path}. Did you mean 'content'?",
        f"Setting 'max_queue' in {path}",
        "Setting 'flush_interval' in the environment (TREERINGS_FLUSH_INTERVAL)",
    }


def test_a_program_goes_on_with_wrong_settings_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    path = toml('contents = "none"\nsample = 0.5')
    assert runtime.settings().sample == 0.5
    assert [record.getMessage() for record in caplog.records] == [
        f"Unknown setting 'contents' in {path}. Did you mean 'content'? It is left out."
    ]


def test_configure_raises_and_changes_nothing() -> None:
    treerings.configure(content="hash")
    with pytest.raises(ConfigError):
        treerings.configure(content="everything")
    assert runtime.settings().content == "hash"


def test_configure_keeps_what_was_configured_before() -> None:
    treerings.configure(content="hash")
    treerings.configure(sample=0.5)
    assert (runtime.settings().content, runtime.settings().sample) == ("hash", 0.5)


def test_configure_takes_plugins_away_and_back() -> None:
    runtime.registry().load()
    assert "jsonl" in runtime.registry().stores
    treerings.configure(disabled_plugins=["jsonl"])
    assert "jsonl" not in runtime.registry().stores
    assert runtime.registry().infos["jsonl"].problem == "disabled by the setting disabled_plugins"
    treerings.configure(disabled_plugins=[])
    assert "jsonl" in runtime.registry().stores
    assert runtime.registry().infos["jsonl"].problem is None


def test_given_settings_know_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREERINGS_SAMPLE", "0.25")
    assert given_settings(content="full").sample == 1.0
    with pytest.raises(ConfigError, match=r"^Setting 'content' in the call: Input should be"):
        given_settings(content="all")
