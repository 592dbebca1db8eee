"""Exact tokenizers whose files already lie on this machine. Nothing here ever downloads."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
import types
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from .model_names import candidates

__all__ = ["Encoding", "encoding_for", "encoding_named"]

_CARRIERS = (("litellm", "litellm_core_utils/tokenizers"), ("llama_index", "core/_static/tiktoken_cache"))
"""Packages that ship the vocabularies, found without importing them, and where in them."""


class Encoding(Protocol):
    """The part of `tiktoken.Encoding` that counting needs."""

    name: str

    def encode_ordinary(self, text: str) -> list[int]:
        """The tokens of `text`, special tokens read as text."""


def encoding_for(model: str | None) -> Encoding | None:
    """The exact tokenizer of a model; None when it is not public, tiktoken is missing, or its file is not here."""
    name = _encoding_name(model) if model else None
    return encoding_named(name) if name else None


@cache
def encoding_named(name: str) -> Encoding | None:
    """An encoding of tiktoken, built from a vocabulary on disk whose checksum is the one that tiktoken pins.

    tiktoken's own constructors hold the patterns and checksums but fetch the vocabulary from the network: they run here
    with a loader that only reads files. An answer of None is remembered too.
    """
    try:
        import tiktoken
        from tiktoken_ext import openai_public as public  # type: ignore[import-untyped]  # ships no py.typed

        scope: dict[str, Any] = {**vars(public), "load_tiktoken_bpe": _load, "data_gym_to_mergeable_bpe_ranks": _refuse}
        for constructor in list(public.ENCODING_CONSTRUCTORS):
            function = scope.get(constructor)
            if isinstance(function, types.FunctionType):
                scope[constructor] = types.FunctionType(function.__code__, scope, constructor)
        encoding: Encoding = tiktoken.Encoding(**scope[name]())
        return encoding
    except Exception:  # not installed, no file, or a tiktoken that is built differently: the estimate stands in
        return None


@cache
def _encoding_name(model: str) -> str | None:
    try:
        from tiktoken.model import encoding_name_for_model
    except ImportError:
        return None
    for _, name in candidates(model):
        try:
            return encoding_name_for_model(name.rpartition("/")[2])
        except KeyError:
            continue
    return None


def _load(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    data = _read(hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest(), expected_hash)
    ranks: dict[bytes, int] = {}
    for line in data.splitlines():
        token, _, rank = line.partition(b" ")
        if rank:
            ranks[b64decode(token)] = int(rank)
    return ranks


def _read(file_name: str, expected_hash: str | None) -> bytes:
    for directory in _directories():
        path = directory / file_name
        if path.is_file():
            data = path.read_bytes()
            if expected_hash and hashlib.sha256(data).hexdigest() == expected_hash:
                return data
    raise FileNotFoundError(file_name)


def _directories() -> list[Path]:
    """Where tiktoken would look, then the packages that ship its files."""
    found = [Path(os.environ[name]) for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR") if os.environ.get(name)]
    found.append(Path(tempfile.gettempdir()) / "data-gym-cache")
    for package, folder in _CARRIERS:
        spec = importlib.util.find_spec(package)  # a top-level name: this imports nothing
        for location in (spec.submodule_search_locations or ()) if spec else ():
            found.append(Path(location) / folder)
    return found


def _refuse(*_: object, **__: object) -> dict[bytes, int]:
    raise FileNotFoundError("GPT-2's two-file vocabulary")
