"""The command line as a whole, and the commands that say what is installed and where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result
from rendering_samples import Builder, support_desk
from treerings import Integration, __version__, hookimpl, open_store, runtime
from treerings.cli import cli, probes
from treerings.cli.commands import Commands
from treerings.cli.following import Printer, follow
from treerings.memory import MemoryStore
from treerings.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TREERINGS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("TREERINGS_STORE", raising=False)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The plugins that `doctor` and `plugins` see: none but those that a test registers."""
    registry = Registry(entry_points=False)
    registry.load()
    monkeypatch.setattr(runtime, "_registry", registry)
    return registry


def run(*arguments: str, on: click.Command = cli) -> Result:
    return CliRunner().invoke(on, list(arguments))


def data(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


# -- the group --------------------------------------------------------------------------------------------------------


def test_help_lists_every_command_with_a_whole_sentence() -> None:
    output = run("--help").stdout
    for name in ("demo", "run", "workflows", "show", "totals", "tail", "plugins", "where", "doctor"):
        line = next(line for line in output.splitlines() if line.split()[:1] == [name])
        assert line.endswith(".")
        assert "..." not in line


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from treerings.cli import cli
try:
    cli(["--help"])
except SystemExit:
    pass
heavy = {"sqlalchemy", "sqlmodel", "rich", "langchain_core", "tiktoken", "alembic"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == "[]\n"


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"treerings, version {__version__}\n"


def test_python_dash_m_is_the_same() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "treerings", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"treerings, version {__version__}\n"


def test_an_unknown_command_is_wrong_usage() -> None:
    result = run("wrkflows")
    assert result.exit_code == 2
    assert "No such command 'wrkflows'" in result.stderr


class Greeter:
    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        @cli.command(short_help="Say hello.")
        def hello() -> None:
            click.echo("hello")

        @cli.command("show")
        def other_show() -> None:
            click.echo("not ours")


@pytest.fixture
def group(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Commands:
    registry.register(Greeter(), "greeter")
    monkeypatch.setenv("TREERINGS_DISABLED_PLUGINS", "[]")
    return Commands(
        "treerings", help="", commands=[command for command in cli.commands.values() if command.name == "show"]
    )


def test_a_plugin_adds_commands(group: Commands) -> None:
    assert run("hello", on=group).stdout == "hello\n"


def test_commands_of_plugins_are_in_the_help(group: Commands) -> None:
    assert "Say hello." in run("--help", on=group).stdout


def test_a_plugin_does_not_replace_a_command_of_ours(group: Commands) -> None:
    run("hello", on=group)
    assert "ID|last" in run("show", "--help", on=group).stdout


# -- plugins ----------------------------------------------------------------------------------------------------------


class Broken:
    @hookimpl
    def register_stores(self, register: Any) -> None:
        raise RuntimeError("driver too old")


def test_plugins_says_what_each_contributes_and_what_is_wrong(registry: Registry) -> None:
    registry.register(Greeter(), "greeter")
    with pytest.raises(Exception, match="driver too old"):
        registry.register(Broken(), "broken")
    registry.infos["broken"] = SimpleNamespace(  # type: ignore[assignment]  # as an entry point would leave it
        name="broken", distribution="broken-plugin", version="2.1", hooks=(), contributes=[], problem="driver too old"
    )
    output = run("plugins").stdout
    assert "✓  greeter" in output
    assert "register_commands" in output
    assert "✗  broken" in output
    assert "driver too old" in output


def test_a_framework_that_is_missing_comes_with_the_line_to_type(registry: Registry) -> None:
    registry.integrations["nope"] = Integration(name="nope", package="no_such_package", extra="nope", module="nope")
    assert "missing: pip install 'treerings[nope]'" in run("plugins").stdout
    framework = data("plugins")["frameworks"][0]
    assert framework == {
        "name": "nope",
        "package": "no_such_package",
        "observes": "",
        "installed": False,
        "version": None,
        "install": "pip install 'treerings[nope]'",
    }


# -- where ------------------------------------------------------------------------------------------------------------


def test_where_says_every_setting_and_its_origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("treerings.toml").write_text('content = "none"\n')
    monkeypatch.setenv("TREERINGS_SAMPLE", "0.5")
    found = data("where")
    settings = {item["name"]: (item["value"], item["origin"]) for item in found["settings"]}
    assert settings["sample"] == (0.5, "environment TREERINGS_SAMPLE")
    assert settings["content"] == ("none", str(tmp_path / "treerings.toml"))
    assert settings["max_queue"] == (20_000, "default")
    assert found["config_file"] == str(tmp_path / "treerings.toml")


def test_where_says_the_store_and_its_file(tmp_path: Path) -> None:
    found = data("where")
    assert found["store"] == f"sqlite:///{tmp_path / 'data' / 'treerings.db'}"
    assert found["store_path"] == str(tmp_path / "data" / "treerings.db")
    assert found["store_exists"] is False
    assert "(not there yet)" in " ".join(run("where").stdout.split())


def test_where_does_not_print_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREERINGS_STORE", "postgresql://me:secret@db/runs")
    assert "secret" not in run("where").output
    assert "secret" not in run("where", "--json").output


def test_a_setting_that_is_wrong_is_one_line() -> None:
    Path("treerings.toml").write_text('contents = "none"\n')
    result = run("where")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Unknown setting 'contents'")


# -- tail -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    store = open_store(url)
    store.write(support_desk().steps)
    store.close()
    return url


def test_tail_begins_with_the_steps_that_ended_last(store_url: str) -> None:
    lines = run("tail", "--once", "-n", "2", "--store", store_url).stdout.splitlines()
    assert "agent researcher" in lines[0]
    assert "workflow support desk" in lines[1]


def test_tail_prints_errors_beneath_and_leaves_plumbing_out(store_url: str) -> None:
    output = run("tail", "--once", "-n", "50", "--store", store_url).stdout
    assert "ToolException: No order 9-1137" in output
    assert "node agent" not in output


def test_tail_prints_json_lines(store_url: str) -> None:
    lines = run("tail", "--once", "--json", "--store", store_url).stdout.splitlines()
    assert json.loads(lines[-1])["name"] == "support desk"


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_no_line_of_tail_is_wider_than_the_terminal(
    store_url: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, run("tail", "--once", "-n", "99", "--store", store_url).stdout.splitlines())) <= columns


def test_tail_of_an_empty_store_says_what_to_do() -> None:
    result = run("tail", "--once")
    assert result.exit_code == 0
    assert "treerings demo" in result.stderr


def test_tail_follows_what_is_stored() -> None:
    store = MemoryStore()
    cursor, _ = store.changes(None)
    batches = follow(store, cursor)
    b = Builder()
    store.write([b.add(None, "workflow", "run")])
    assert [step.name for step in next(batches)] == ["run"]
    store.write([b.add(b.steps[0], "tool", "search")])
    assert [step.name for step in next(batches)] == ["search"]


def test_tail_stops_cleanly_at_ctrl_c(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[list[Any]]:
        raise KeyboardInterrupt
        yield []

    monkeypatch.setattr("treerings.cli.following.follow", interrupted)
    result = run("tail", "--store", store_url)
    assert result.exit_code == 0
    assert "Ctrl-C stops" in result.stderr


def test_a_state_that_says_nothing_new_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(None, as_json=True, every_step=False)
    step = Builder().add(None, "workflow", "run")
    printer.print([step])
    printer.print([step])
    assert capsys.readouterr().out.count("\n") == 1


def test_a_store_that_cannot_say_what_changed_cannot_be_tailed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        url = "silent://"

        def close(self) -> None: ...

    registry.stores["silent"] = lambda url: Silent()  # type: ignore[assignment,return-value]  # a store with nothing in it
    result = run("tail", "--store", "silent://")
    assert result.exit_code == 1
    assert "cannot say what changed" in result.stderr


# -- doctor -----------------------------------------------------------------------------------------------------------


def states(*arguments: str) -> dict[str, str]:
    return {check["name"]: check["state"] for check in data("doctor", "--store", "sqlite://", *arguments)["checks"]}


def detail(name: str, *arguments: str) -> str:
    checks = data("doctor", "--store", "sqlite://", *arguments)["checks"]
    return next(str(check["detail"]) for check in checks if check["name"] == name)


ASK = """
import json, urllib.request
asked = {"model": "m", "messages": [{"role": "user", "content": "How old?"}]}
urllib.request.urlopen(urllib.request.Request(base_url + "/chat/completions", json.dumps(asked).encode())).read()
"""


@dataclass
class MadeUp:
    """A framework made of own steps; tests change what its probe does."""

    path: Path
    registry: Registry

    def probes(self, code: str, **facts: Any) -> None:
        body = textwrap.indent(textwrap.dedent(code).strip(), "    ")
        text = f"import treerings\ndef instrument(): pass\ndef uninstrument(): pass\ndef probe(base_url):\n{body}\n"
        (self.path / "made_up_integration.py").write_text(text)
        self.registry.integrations["made up"] = Integration(
            name="made up", package="click", extra="made-up", module="made_up_integration", **facts
        )


@pytest.fixture
def framework(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MadeUp:
    from treerings_sql import plugin

    registry.register(plugin, "sql")
    monkeypatch.setattr(probes, "LONGEST", 20.0)
    monkeypatch.syspath_prepend(str(tmp_path))
    framework = MadeUp(tmp_path, registry)
    framework.probes("for kind in ('agent', 'llm', 'tool'):\n    with treerings.step(kind): pass")
    return framework


def test_doctor_is_content_when_everything_works(framework: MadeUp) -> None:
    result = run("doctor", "--store", "sqlite://")
    assert result.exit_code == 0, result.output
    assert "captured 1 agent, 1 llm, 1 tool" in result.stdout
    assert "Everything works." in result.stdout


def test_doctor_fails_when_an_expected_kind_was_not_captured(framework: MadeUp) -> None:
    framework.probes("with treerings.step('llm'): pass")
    result = run("doctor", "--store", "sqlite://")
    assert result.exit_code == 1
    version = metadata.version("click")
    assert f"{version}: captured 1 llm; agent, tool is missing" in " ".join(result.stdout.split())


def test_doctor_fails_when_a_probe_raises(framework: MadeUp) -> None:
    framework.probes("raise RuntimeError('no such method')")
    assert detail("made up").endswith(": RuntimeError: no such method")
    assert states()["made up"] == "failed"


def test_doctor_fails_when_tokens_are_missing(framework: MadeUp) -> None:
    framework.probes(ASK, expected=())
    assert re.search(r"captured nothing; 0 tokens of \d+ that the model reported$", detail("made up"))


def test_doctor_compares_tokens_with_what_the_model_server_said(framework: MadeUp) -> None:
    used = "said = json.load(answer)['usage']"
    told = (
        "call.set(usage=treerings.Usage(input_tokens=said['prompt_tokens'], output_tokens=said['completion_tokens']))"
    )
    code = ASK.replace(".read()", "").replace("urllib.request.urlopen", "answer = urllib.request.urlopen")
    framework.probes(f"{code}\n{used}\nwith treerings.step('llm') as call: {told}", expected=("llm",))
    assert re.search(r"captured 1 llm, \d+ tokens$", detail("made up"))


def test_a_probe_that_ends_its_process_fails_alone_and_says_its_last_words(
    framework: MadeUp, registry: Registry
) -> None:
    registry.integrations["well"] = registry.integrations["made up"]
    framework.probes("import os, sys; print('out of memory', file=sys.stderr, flush=True); os._exit(3)")
    assert detail("made up").endswith("the probe's process ended with exit code 3. out of memory")


def test_a_probe_that_hangs_is_ended_and_the_others_are_tried(
    framework: MadeUp, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "LONGEST", 0.2)
    registry.integrations["nope"] = Integration(name="nope", package="no_such_package", extra="nope", module="nope")
    framework.probes("import threading; threading.Event().wait()")
    assert detail("made up").endswith("the probe did not end in 0 seconds")
    assert states()["nope"] == "note"


def test_what_a_framework_prints_or_leaves_running_is_no_matter(framework: MadeUp) -> None:
    noise = "print('{hello'); import threading; threading.Thread(target=threading.Event().wait).start()"
    framework.probes(f"{noise}\nwith treerings.step('agent'): pass", expected=("agent",))
    assert states()["made up"] == "ok"


def test_a_probe_runs_with_the_frameworks_own_telemetry_off(framework: MadeUp) -> None:
    code = "import os\nwith treerings.step(os.environ['MADE_UP_TELEMETRY']): pass"
    framework.probes(code, quiet={"MADE_UP_TELEMETRY": "task"}, expected=("task",))
    assert states()["made up"] == "ok"
    assert "MADE_UP_TELEMETRY" not in os.environ


def test_only_the_named_frameworks_are_tried(framework: MadeUp, registry: Registry) -> None:
    registry.integrations["nope"] = Integration(name="nope", package="no_such_package", extra="nope", module="nope")
    assert states("--only", "made up") == {"made up": "ok"}


def test_a_named_framework_that_is_not_installed_is_a_failure(framework: MadeUp, registry: Registry) -> None:
    registry.integrations["nope"] = Integration(name="nope", package="no_such_package", extra="nope", module="nope")
    assert states("--only", "nope,made up") == {"nope": "failed", "made up": "ok"}
    result = run("doctor", "--only", "no-such")
    assert result.exit_code != 0
    assert "No integration named 'no-such'. Installed: made up, nope." in result.output


def test_a_framework_that_is_not_installed_is_no_failure(framework: MadeUp, registry: Registry) -> None:
    registry.integrations["nope"] = Integration(name="nope", package="no_such_package", extra="nope", module="nope")
    assert states()["nope"] == "note"


def test_a_probe_whose_packages_are_missing_is_not_tried(framework: MadeUp, registry: Registry) -> None:
    framework.probes("raise AssertionError", probe_needs=("no_such_package",))
    assert "not tried, because no_such_package is missing" in " ".join(
        run("doctor", "--store", "sqlite://").stdout.split()
    )


def test_doctor_fails_when_the_store_cannot_be_written(framework: MadeUp, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = run("doctor", "--store", f"sqlite:///{tmp_path / 'file' / 'runs.db'}")
    assert result.exit_code == 1
    assert "✗  store" in result.stdout


def test_doctor_leaves_nothing_in_the_store(framework: MadeUp, store_url: str) -> None:
    run("doctor", "--store", store_url)
    assert [workflow["name"] for workflow in data("workflows", "--store", store_url)] == ["support desk"]


def test_doctor_names_the_prices(framework: MadeUp) -> None:
    assert " models as of 20" in run("doctor", "--store", "sqlite://").stdout


def test_doctor_captures_langchain() -> None:
    pytest.importorskip("langchain")
    pytest.importorskip("langchain_openai")
    assert states("--only", "langchain") == {"langchain": "ok"}
