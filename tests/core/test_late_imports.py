"""Late imports: told when the program imports a package, and the import is what it would have been."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from treerings import late_imports


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing waits before and after; what the test imported is forgotten."""
    monkeypatch.setattr(late_imports, "_waiting", {})
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if finder is not late_imports._finder])
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., None]:
    """Writes a package or module: `package("bark", "x = 1")`."""

    def write(name: str, text: str = "") -> None:
        folder = tmp_path.joinpath(*name.split("."))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(text)
        importlib.invalidate_caches()

    return write


def test_the_call_comes_after_the_packages_own_code(package: Callable[..., None]) -> None:
    package("bark", "layers = 3")
    seen: list[int] = []
    late_imports.when_imported("bark", lambda: seen.append(sys.modules["bark"].layers))
    assert seen == []
    importlib.import_module("bark")
    assert seen == [3]


def test_what_is_imported_already_is_told_at_once() -> None:
    seen: list[str] = []
    late_imports.when_imported("json", lambda: seen.append("json"))
    assert seen == ["json"]
    assert late_imports._finder not in sys.meta_path


def test_a_package_inside_a_namespace_is_waited_for(package: Callable[..., None], tmp_path: Path) -> None:
    package("forest.oak")
    seen: list[str] = []
    late_imports.when_imported("forest.oak", lambda: seen.append("oak"))
    importlib.import_module("forest")
    assert seen == []
    importlib.import_module("forest.oak")
    assert seen == ["oak"]


def test_the_module_has_its_true_loader_before_its_code_runs(package: Callable[..., None]) -> None:
    package("bark", "loaders = type(__loader__), type(__spec__.loader)")
    late_imports.when_imported("bark", lambda: None)
    bark = importlib.import_module("bark")
    assert bark.loaders == (SourceFileLoader, SourceFileLoader)
    assert type(bark.__loader__) is type(bark.__spec__.loader) is SourceFileLoader


def test_whoever_looks_for_the_package_finds_it_and_imports_nothing(package: Callable[..., None]) -> None:
    package("bark", "raise RuntimeError('imported')")
    late_imports.when_imported("bark", lambda: None)
    spec = importlib.util.find_spec("bark")
    assert spec is not None
    assert isinstance(spec.loader, SourceFileLoader)
    assert spec.loader.get_filename("bark") == spec.origin
    assert importlib.util.find_spec("no_such_package") is None


def test_what_the_call_raises_is_logged_once_and_the_import_goes_on(
    package: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    package("bark", "layers = 3")

    def broken() -> None:
        raise AttributeError("a version that we do not know")

    seen: list[str] = []
    late_imports.when_imported("bark", broken)
    late_imports.when_imported("bark", lambda: seen.append("bark"))
    with caplog.at_level(logging.ERROR, "treerings"):
        assert importlib.import_module("bark").layers == 3
        importlib.reload(sys.modules["bark"])
    assert seen == ["bark"]
    assert [record.getMessage() for record in caplog.records] == [
        "What waited for the import of bark failed: AttributeError: a version that we do not know"
    ]


def test_an_import_that_fails_fails_as_it_would_and_is_waited_for_again(package: Callable[..., None]) -> None:
    package("bark", "import sys\nif not getattr(sys, 'bark_grows', False): raise ValueError('dead wood')")
    seen: list[str] = []
    late_imports.when_imported("bark", lambda: seen.append("bark"))
    with pytest.raises(ValueError, match="dead wood"):
        importlib.import_module("bark")
    assert ("bark" in sys.modules, seen) == (False, [])
    try:
        sys.bark_grows = True  # type: ignore[attr-defined]
        importlib.import_module("bark")
    finally:
        del sys.bark_grows  # type: ignore[attr-defined]
    assert seen == ["bark"]


def test_a_missing_package_is_missing_as_ever() -> None:
    late_imports.when_imported("no_such_package", lambda: None)
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package'"):
        importlib.import_module("no_such_package")


def test_it_leaves_the_import_machinery_when_nothing_waits(package: Callable[..., None]) -> None:
    package("bark")
    machinery = list(sys.meta_path)
    seen: list[str] = []

    def call() -> None:
        seen.append("bark")

    late_imports.when_imported("bark", call)
    late_imports.when_imported("bark", call)
    late_imports.when_imported("leaf", call)
    assert sys.meta_path.count(late_imports._finder) == 1
    late_imports.forget(call)
    assert sys.meta_path == machinery
    importlib.import_module("bark")
    assert seen == []
    late_imports.when_imported("bark", call)
    assert seen == ["bark"]


def test_a_finder_that_asks_the_whole_machinery_meets_no_endless_ring(package: Callable[..., None]) -> None:
    package("bark")
    seen: list[str] = []

    class Asking:
        busy = False

        def find_spec(self, name: str, path: object = None, target: object = None) -> object:
            if self.busy or name != "bark":
                return None
            self.busy = True
            try:
                return importlib.util.find_spec(name)
            finally:
                self.busy = False

    late_imports.when_imported("bark", lambda: seen.append("bark"))
    for place in (0, len(sys.meta_path)):
        sys.meta_path.insert(place, Asking())  # type: ignore[arg-type]
    importlib.import_module("bark")
    assert seen == ["bark"]


def test_many_threads_that_import_at_once_make_one_call(package: Callable[..., None]) -> None:
    package("bark", "import time; time.sleep(0.01); layers = 3")
    seen: list[int] = []
    layers: list[int] = []
    late_imports.when_imported("bark", lambda: seen.append(1))
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        layers.append(importlib.import_module("bark").layers)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen, layers) == ([1], [3] * 8)


def test_what_another_thread_is_importing_is_told_when_it_is_whole(package: Callable[..., None]) -> None:
    package("bark", "import sys; begun, go_on = sys.bark_events; begun.set(); go_on.wait(5); layers = 3")
    begun, go_on = threading.Event(), threading.Event()
    sys.bark_events = begun, go_on  # type: ignore[attr-defined]
    thread = threading.Thread(target=importlib.import_module, args=["bark"])
    thread.start()
    begun.wait(5)
    threading.Timer(0.01, go_on.set).start()
    seen: list[int] = []
    late_imports.when_imported("bark", lambda: seen.append(sys.modules["bark"].layers))
    thread.join()
    del sys.bark_events  # type: ignore[attr-defined]
    assert seen == [3]


def test_a_call_may_import_what_others_wait_for(package: Callable[..., None]) -> None:
    package("bark")
    package("leaf")
    seen: list[str] = []

    def bark() -> None:
        importlib.import_module("bark")
        importlib.import_module("leaf")
        seen.append("bark")

    late_imports.when_imported("bark", bark)
    late_imports.when_imported("leaf", lambda: seen.append("leaf"))
    importlib.import_module("bark")
    assert seen == ["leaf", "bark"]
