"""The plugin manager: loads plugins one by one, tells them things one by one, knows what they contribute."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import pluggy

from . import hookspecs
from .errors import ConfigError, MissingPackage, StopWorkflow, UnknownName
from .records import Step
from .snapshot import error_text
from .store import Store

__all__ = ["Integration", "PluginInfo", "Processor", "Registry", "StoreFactory", "full_url", "without_password"]

logger = logging.getLogger("treerings")

StoreFactory: TypeAlias = Callable[[str], Store]
"""A function of a URL that opens the store there, or raises `StoreError`."""

Processor: TypeAlias = Callable[[Step], None]
"""A function that changes a step in place, before plugins and stores see it."""

ENTRY_POINTS = "treerings"
DISABLED = "disabled by the setting disabled_plugins"


class IntegrationModule(Protocol):
    """What the module behind an `Integration` offers. It may import its framework."""

    def instrument(self) -> None:
        """Capture every run of the framework in this process; a second call does nothing."""

    def uninstrument(self) -> None:
        """Undo `instrument`."""

    def probe(self, base_url: str) -> None:
        """Run a small agent with one tool call against the OpenAI-compatible server at `base_url`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """A framework that can be captured."""

    name: str
    """What `treerings.instrument()` calls it, and the `source` of its steps."""
    package: str
    """The import name of the framework: it is there when Python can find this."""
    distribution: str | None = None
    """What `pip install` calls it, where that is not the import name: needed for its version, and where programs may have
    a package of their own with this import name."""
    extra: str
    """The extra of treerings that installs it."""
    title: str = ""
    """What people call it; the name when empty."""
    observes: str = ""
    """What of the framework is listened to or wrapped, in a few words: for people who look at the list."""
    module: str
    """The import name of an `IntegrationModule`."""
    expected: tuple[str, ...] = ("agent", "llm", "tool")
    """The kinds that its probe must record."""
    probe_needs: tuple[str, ...] = ()
    """Import names of further packages that the probe needs."""
    quiet: Mapping[str, str] = field(default_factory=dict)
    """Environment variables by which the framework itself reports nothing to its makers; set where the probe runs."""

    @property
    def installed(self) -> bool:
        return found(self.package) and (self.distribution is None or self.version is not None)

    @property
    def version(self) -> str | None:
        """The installed version; None where it is not known."""
        try:
            return importlib.metadata.version(self.distribution or self.package.partition(".")[0].replace("_", "-"))
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def install_hint(self) -> str:
        return f"pip install 'treerings[{self.extra}]'"

    def load(self) -> IntegrationModule:
        """Import the module; raises `MissingPackage` that ends with the line to type."""
        if not self.installed:
            raise MissingPackage(f"{self.name} needs {self.package}, which is not installed. Type: {self.install_hint}")
        module: Any = importlib.import_module(self.module)
        return module  # type: ignore[no-any-return]


@dataclass(slots=True, kw_only=True)
class PluginInfo:
    """An installed plugin, loaded or not."""

    name: str
    distribution: str | None = None
    version: str | None = None
    hooks: tuple[str, ...] = ()
    contributes: list[str] = field(default_factory=list)
    problem: str | None = None
    """Why it does not work, or None."""


class Registry:
    """The plugins of one process. Plugins load at the first use of anything that they may contribute."""

    def __init__(self, *, disabled: Iterable[str] = (), entry_points: bool = True) -> None:
        self.manager = pluggy.PluginManager("treerings")
        self.manager.add_hookspecs(hookspecs)
        self.hook = self.manager.hook
        self.infos: dict[str, PluginInfo] = {}
        self.integrations: dict[str, Integration] = {}
        self.stores: dict[str, StoreFactory] = {}
        self.processors: dict[str, Processor] = {}
        self._contributors: dict[tuple[str, str], str] = {}
        self._disabled = frozenset(disabled)
        self._entry_points = entry_points
        self._history: dict[str, dict[str, Any]] = {}
        self._loaded = False
        self._complained: set[tuple[str, str]] = set()
        """The plugins and hooks whose failure was said."""
        self._lock = threading.RLock()

    # -- loading --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Load the installed plugins, once; a broken one is reported in `plugins` and the rest works."""
        if self._loaded:
            return
        with self._lock:
            if self._loaded:
                return
            if self._entry_points:
                for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
                    self._load_entry(entry)
            self._loaded = True

    def disable(self, names: Iterable[str]) -> None:
        """Take away the plugins with these names, and load the installed ones that are not disabled any more."""
        with self._lock:
            before, self._disabled = self._disabled, frozenset(names)
            if not self._loaded:
                return
            for name in self._disabled - before:
                if (info := self.infos.get(name)) is not None and self.manager.has_plugin(name):
                    self.unregister(name)
                    info.problem = DISABLED
                    self.infos[name] = info
            for entry in importlib.metadata.entry_points(group=ENTRY_POINTS) if before - self._disabled else ():
                if entry.name in before - self._disabled:
                    self.infos.pop(entry.name, None)
                    self._load_entry(entry)

    def after_fork_in_child(self) -> None:
        """A thread of the parent may have held the lock."""
        self._lock = threading.RLock()

    def _load_entry(self, entry: importlib.metadata.EntryPoint) -> None:
        info = PluginInfo(name=entry.name)
        if entry.dist is not None:
            info.distribution, info.version = entry.dist.name, entry.dist.version
        if entry.name in self._disabled:
            info.problem = DISABLED
            self.infos.setdefault(entry.name, info)
            return
        try:
            plugin = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # somebody else's import: anything may happen, sys.exit() too
            info.problem = f"cannot be loaded: {described(error)}"
            self.infos.setdefault(entry.name, info)
            logger.error("Plugin %r (%s%s) %s", entry.name, entry.value, _of(info), info.problem)
            logger.debug("Plugin %r cannot be loaded", entry.name, exc_info=error)
            return
        self._register(plugin, entry.name, info)

    def register(self, plugin: object, name: str | None = None) -> str:
        """Add a plugin: a module or an object with functions marked `hookimpl`; its name is given back.

        Raises `ConfigError` when the name is taken, or when a hook of the plugin does not fit its specification.
        """
        name = name or getattr(plugin, "__name__", None) or f"{type(plugin).__name__}-{id(plugin):x}"
        info = PluginInfo(name=name)
        self._register(plugin, name, info)
        if info.problem is not None:
            if self.infos.get(name) is info:
                del self.infos[name]
            raise ConfigError(f"Plugin {name!r}: {info.problem}")
        return name

    def unregister(self, name: str) -> None:
        """Remove a plugin and what it contributed; raises `UnknownName`."""
        with self._lock:
            if not self.manager.has_plugin(name):
                raise UnknownName(f"No plugin named {name!r}. Loaded: {', '.join(sorted(self.infos)) or 'none'}.")
            self.manager.unregister(name=name)
            del self.infos[name]
            for (kind, key), owner in list(self._contributors.items()):
                if owner == name:
                    del self._contributors[kind, key]
                    getattr(self, kind).pop(key, None)

    def _register(self, plugin: object, name: str, info: PluginInfo) -> None:
        with self._lock:
            if self.manager.has_plugin(name) or self.manager.is_registered(plugin):
                other = self.manager.get_name(plugin) if self.manager.is_registered(plugin) else name
                first = self.infos.get(other or name)
                info.problem = (
                    f"two plugins are named {name!r}: the one loaded first{_of(first)} is used, this one{_of(info)} is not"
                    if other == name
                    else f"it is already registered under the name {other!r}"
                )
                self.infos.setdefault(f"{name} ({info.distribution or 'second'})", info)
                if info.distribution is not None:
                    logger.error("Plugin %r: %s", name, info.problem)
                return
            try:
                self.manager.register(plugin, name)
            except Exception as error:  # pluggy leaves a half-registered plugin behind
                self._forget(plugin, name)
                info.problem = f"cannot be registered: {error}"
                self.infos[name] = info
                logger.error("Plugin %r cannot be registered: %s", name, error)
                return
            self.infos[name] = info
            callers = self.manager.get_hookcallers(plugin) or []
            wrappers = sorted({c.name for c in callers for i in c.get_hookimpls() if i.plugin is plugin and _wraps(i)})
            if wrappers:
                self._forget(plugin, name)
                info.problem = (
                    f"cannot be registered: {', '.join(wrappers)} wraps other plugins, which Treerings does not call"
                )
                logger.error("Plugin %r %s", name, info.problem)
                return
            misspelt = sorted(caller.name for caller in callers if not caller.has_spec())
            info.hooks = tuple(sorted(caller.name for caller in callers if caller.has_spec()))
            if misspelt:
                known = ", ".join(
                    sorted(name for name, value in vars(hookspecs).items() if hasattr(value, "treerings_spec"))
                )
                info.problem = f"no hook is called {', '.join(misspelt)}. Hooks: {known}"
                logger.error("Plugin %r: %s", name, info.problem)
            self._contribute(plugin, name, info)
            for hook_name, arguments in self._history.items():
                for implementation in getattr(self.hook, hook_name).get_hookimpls():
                    if implementation.plugin is plugin:
                        self._call(implementation, hook_name, arguments)

    def _forget(self, plugin: object, name: str) -> None:
        try:
            self.manager.unregister(plugin, name)
        except Exception:  # it never got as far as being registered
            logger.debug("Plugin %r was not registered", name)

    def _contribute(self, plugin: object, name: str, info: PluginInfo) -> None:
        def keep(kind: str, key: str, value: object) -> None:
            owner = self._contributors.get((kind, key))
            if owner is not None and owner != name:
                raise ConfigError(f"plugins {owner!r} and {name!r} both register {kind[:-1]} {key!r}")
            self._contributors[kind, key] = name
            getattr(self, kind)[key] = value
            info.contributes.append(f"{kind[:-1]} {key}")

        contributions: dict[str, Callable[..., None]] = {
            "register_integrations": lambda item: keep("integrations", item.name, item),
            "register_stores": lambda scheme, factory: keep("stores", scheme, factory),
            "register_processors": lambda key, function: keep("processors", key, function),
        }
        for hook_name, register in contributions.items():
            implementation = getattr(plugin, hook_name, None)
            if implementation is None or hook_name not in info.hooks:
                continue
            try:
                implementation(register)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # the plugin's code
                info.problem = f"{hook_name} failed: {described(error)}"
                logger.error("Plugin %r: %s", name, info.problem)
                logger.debug("Plugin %r failed in %s", name, hook_name, exc_info=error)

    # -- asking and telling ---------------------------------------------------------------------------------------

    def tell(self, hook_name: str, **arguments: Any) -> None:
        """Call a told hook, each plugin on its own: one that raises is logged under its name, the others still run.

        What a historic hook was told, plugins that register later are told then.
        """
        caller = getattr(self.hook, hook_name)
        if caller.is_historic():
            self._history[hook_name] = arguments
        for implementation in reversed(caller.get_hookimpls()):
            self._call(implementation, hook_name, arguments)

    def ask(self, hook_name: str, **arguments: Any) -> Any:
        """The first answer of an asked hook that is not None; a plugin that raises is logged and passed over."""
        for implementation in reversed(getattr(self.hook, hook_name).get_hookimpls()):
            answer = self._call(implementation, hook_name, arguments)
            if answer is not None:
                return answer
        return None

    def guard(self, hook_name: str, **arguments: Any) -> None:
        """Call a guard hook: `StopWorkflow` goes through to the caller, anything else is logged."""
        for implementation in reversed(getattr(self.hook, hook_name).get_hookimpls()):
            self._call(implementation, hook_name, arguments, StopWorkflow)

    def forget_history(self) -> None:
        """Let go of what historic hooks were told: the recorder that they were told of is closed."""
        self._history.clear()

    def _call(
        self,
        implementation: pluggy.HookImpl,
        hook_name: str,
        arguments: dict[str, Any],
        let_through: type[BaseException] | tuple[()] = (),
    ) -> Any:
        try:
            return implementation.function(*(arguments[name] for name in implementation.argnames))
        except let_through:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the plugin's code: a line the first time, in the list of plugins from then on
            name = implementation.plugin_name
            problem = f"{hook_name} failed: {described(error)}"
            if (name, hook_name) not in self._complained:
                self._complained.add((name, hook_name))
                logger.error("Plugin %r: %s (said once)", name, problem)
            logger.debug("Plugin %r failed in %s", name, hook_name, exc_info=error)
            if (info := self.infos.get(name)) is not None:
                info.problem = problem
            return None

    def implemented(self, hook_name: str) -> bool:
        """Whether any plugin implements this hook."""
        return bool(getattr(self.hook, hook_name).get_hookimpls())

    # -- what there is --------------------------------------------------------------------------------------------

    def plugins(self) -> list[PluginInfo]:
        """Every installed plugin, by name."""
        self.load()
        return sorted(self.infos.values(), key=lambda info: info.name)

    def integration(self, name: str) -> Integration:
        """The integration with this name; raises `UnknownName` that lists those installed."""
        self.load()
        try:
            return self.integrations[name]
        except KeyError:
            known = ", ".join(sorted(self.integrations)) or "none"
            raise UnknownName(f"No integration named {name!r}. Installed: {known}.") from None

    def open_store(self, url: str) -> Store:
        """Open the store at a URL (`sqlite:///runs.db`, `jsonl:///folder`) or at the path of an SQLite file.

        Raises `UnknownName` for a scheme that nobody registered, `StoreError` when the store cannot be opened.
        """
        self.load()
        url = full_url(url)
        scheme = url.partition("://")[0]
        base = scheme.partition("+")[0]
        factory = self.stores.get(scheme) or self.stores.get(base)
        if factory is None:
            raise UnknownName(
                f"No store named {base!r} (in {without_password(url)!r}). Installed: {', '.join(sorted(self.stores)) or 'none'}."
            )
        return factory(url)


def described(error: BaseException) -> str:
    """The error in a line, with the place in the code where it was raised."""
    text = " ".join(f"{type(error).__name__}: {error_text(error, 500)}".split())
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or place.tb_frame.f_code.co_filename.startswith("<"):
        return text
    return f"{text} ({os.path.basename(place.tb_frame.f_code.co_filename)}, line {place.tb_lineno})"


def _of(info: PluginInfo | None) -> str:
    return f" of {info.distribution}" if info is not None and info.distribution else ""


def _wraps(implementation: pluggy.HookImpl) -> bool:
    return implementation.hookwrapper or implementation.wrapper


def found(package: str) -> bool:
    """Whether Python could import this package, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def full_url(url: str) -> str:
    """The URL of a store that is given by a URL or by the path of an SQLite file; such a path becomes absolute."""
    url = url.strip()
    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else url
    if not path or "://" in path or path.startswith("file:"):
        return url
    return f"sqlite:///{os.path.abspath(os.path.expanduser(path))}"


def without_password(url: str) -> str:
    """The URL with `***` for its password, to be shown."""
    head, separator, tail = url.rpartition("@")
    scheme, _, credentials = head.partition("://")
    if not separator or ":" not in credentials:
        return url
    return f"{scheme}://{credentials.partition(':')[0]}:***@{tail}"
