"""What a reason means, in the reader's language, and what to do about it (`reasons.toml`)."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

About = Literal[
    "delivery", "account", "pair", "content", "quota", "recipient", "capability", "unknown"
]


class _Told(Struct, frozen=True, forbid_unknown_fields=True):
    about: About
    en: str
    zh: str
    do_en: str
    do_zh: str


def about(reason: str) -> About:
    """What has to change before such a delivery can succeed."""
    told = REASONS.get(reason)
    return "unknown" if told is None else told.about


def meaning(reason: str, language: str) -> str:
    """One sentence; the reason itself where it has none (an older release's, say)."""
    told = REASONS.get(reason)
    return reason if told is None else str(getattr(told, language))


def remedy(reason: str, language: str) -> str:
    """What a person can do, or what UMS does by itself; empty where there is nothing."""
    told = REASONS.get(reason)
    return "" if told is None else str(getattr(told, f"do_{language}"))


def _load() -> dict[str, _Told]:
    raw = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, _Told])


REASONS = _load()
