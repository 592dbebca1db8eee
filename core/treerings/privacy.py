"""What of a step's content reaches plugins and stores: secrets never, the rest as the settings say."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

from .plain import dump_json
from .records import Step

__all__ = ["ContentPolicy", "redact_secrets"]

_SECRET_NAME = re.compile(
    r"(?i)(^|[_\-.])(api[_-]?key|apikey|secret|secrets|password|passwd|pwd|authorization|auth[_-]?token|access[_-]?token|"
    r"refresh[_-]?token|bearer|private[_-]?key|client[_-]?secret|session[_-]?token|cookie|set-cookie|credentials?)$"
    r"|^(x-api-key|token|apikey)$"
)
_TOKENS = (
    ("sk-", r"\bsk-[A-Za-z0-9_\-]{16,}"),
    ("pk-lf-", r"\bpk-lf-[A-Za-z0-9_\-]{16,}"),
    ("sk_", r"\bsk_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("rk_", r"\brk_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
    ("ASIA", r"\bASIA[0-9A-Z]{16}\b"),
    ("AIza", r"\bAIza[0-9A-Za-z_\-]{30,}"),
    ("gh", r"\bgh[pousr]_[A-Za-z0-9]{30,}"),
    ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{30,}"),
    ("glpat-", r"\bglpat-[A-Za-z0-9_\-]{18,}"),
    ("xox", r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}"),
    ("hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    ("gsk_", r"\bgsk_[A-Za-z0-9]{30,}"),
    ("xai-", r"\bxai-[A-Za-z0-9]{30,}"),
    ("lsv2_", r"\blsv2_[a-z]{2}_[A-Za-z0-9_]{30,}"),
    ("eyJ", r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}"),
)
"""Secrets that are one long word: what each kind has in it, and its form."""
_PHRASES = (
    ("-", "-----BEGIN", r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"),
    (" ", "earer ", r"\b[Bb]earer [A-Za-z0-9_\-.=+/]{16,}"),
    ("@", "://", r"(?<=://)[^\s/:@]{0,64}:[^\s/@]{1,256}(?=@)"),
    ("_", "api_key", r"(?<=api_key)[\"']?\s{0,4}[=:]\s{0,4}[\"']?[A-Za-z0-9_\-.]{8,}"),
    ("_", "API_KEY", r"(?<=API_KEY)[\"']?\s{0,4}[=:]\s{0,4}[\"']?[A-Za-z0-9_\-.]{8,}"),
    ("=", "assword", r"(?<=assword)[\"']?\s{0,4}=\s{0,4}[\"']?[^\s\"',;&]{4,}"),
    (":", "assword", r"(?<=assword)[\"']?\s{0,4}:\s{0,4}[\"']?[^\s\"',;&]{4,}"),
)
"""Secrets that are told by what stands before them: a character and a text that must be there, and the form."""
_TOKEN_PATTERNS = tuple((mark, re.compile(pattern)) for mark, pattern in _TOKENS)
_ANY_MARK = re.compile("|".join(re.escape(mark) for mark, _ in _TOKENS))
_HEX = re.compile(r"[0-9a-fA-F\-]+")
_PHRASE_PATTERNS = tuple((rare, mark, re.compile(pattern)) for rare, mark, pattern in _PHRASES)
_LONG = 16
_LONG_WORD = b"\1" * _LONG
_WORD_BYTES = bytes(1 if (chr(code).isalnum() and code < 128) or chr(code) in "_-" else 0 for code in range(256))
REDACTED = "[redacted]"


def redact_secrets(text: str) -> str:
    """`text` with API keys, tokens, private keys, and passwords in URLs and assignments replaced.

    One pass at the speed of `bytes.translate` finds words of 16 letters, digits, `_` and `-` or more; only these are looked
    at for the marks of each kind of key, and only where a mark is found is a pattern run. Text without secrets costs about
    5 us a KB.
    """
    flags = text.encode("ascii", "replace").translate(_WORD_BYTES)
    at = flags.find(_LONG_WORD)
    if at >= 0:
        text = _redact_tokens(text, flags, at)
    for rare, mark, pattern in _PHRASE_PATTERNS:
        if rare in text and mark in text:
            text = pattern.sub(REDACTED, text)
    return text


def _redact_tokens(text: str, flags: bytes, at: int) -> str:
    """Run the patterns of those kinds whose mark is in one of the long words; `at` is where the first of these begins."""
    found: set[int] = set()
    while at >= 0:
        end = flags.find(b"\0", at + _LONG)
        word = text[at : end if end >= 0 else len(text)]
        if _HEX.fullmatch(word) is None and _ANY_MARK.search(word) is not None:
            found.update(index for index, (mark, _) in enumerate(_TOKEN_PATTERNS) if mark in word)
        at = flags.find(_LONG_WORD, end) if end >= 0 else -1
    for index in sorted(found):
        text = _TOKEN_PATTERNS[index][1].sub(REDACTED, text)
    return text


class ContentPolicy:
    """Applies the `content` setting to each step: `full`, `truncated`, `hash` or `none`; always removes secrets.

    `truncated` cuts each string after `max_content` characters. `hash` replaces input and output by a BLAKE2b digest of
    their JSON (16 bytes, hexadecimal) and its length, so that equal payloads can be found. Errors and attributes are kept
    in every mode, with secrets removed.
    """

    def __init__(self, content: str = "truncated", max_content: int = 16_384) -> None:
        self.content = content
        self.max_content = max_content if content == "truncated" else None

    def __call__(self, step: Step) -> None:
        if step.error is not None:
            step.error = redact_secrets(step.error)
        if step.attributes:
            step.attributes = self._clean(step.attributes)
        if self.content == "none":
            step.input = step.output = None
        elif self.content == "hash":
            step.input = _digest(step.input)
            step.output = _digest(step.output)
        else:
            if step.input is not None:
                step.input = self._clean(step.input)
            if step.output is not None:
                step.output = self._clean(step.output)

    def _clean(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            text = redact_secrets(value)
            if self.max_content is not None and len(text) > self.max_content:
                return f"{text[: self.max_content]}… [{len(text) - self.max_content} more characters]"
            return text
        if kind is dict:
            return {
                key: REDACTED if item and type(item) is str and _SECRET_NAME.search(key) else self._clean(item)
                for key, item in value.items()
            }
        if kind is list:
            return [self._clean(item) for item in value]
        return value


def _digest(payload: Any) -> dict[str, Any] | None:
    if payload is None:
        return None
    data = dump_json(payload)
    return {"blake2b": blake2b(data, digest_size=16).hexdigest(), "bytes": len(data)}
