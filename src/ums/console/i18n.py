"""The words of the console's pages and which language a reader gets."""

import tomllib
from pathlib import Path
from typing import Any, Final

from litestar import Request

from ums.console import cookies
from ums.core.common.locale import preferred

LANGUAGES: Final = {"en": "English", "zh": "中文"}
HTML_LANG: Final = {"en": "en", "zh": "zh-CN"}
_COUNTS: Final = ("count", "bounced", "complained", "sent", "audience")


def _load() -> dict[str, dict[str, str]]:
    """Each area of the console has a file; its words are called `area.word`, those that all
    pages share by the word alone."""
    words: dict[str, dict[str, str]] = {}
    for file in sorted((Path(__file__).parent / "locales").glob("*.toml")):
        area = "" if file.stem == "common" else f"{file.stem}."
        for key, told in tomllib.loads(file.read_text(encoding="utf-8")).items():
            words[area + key] = told
    return words


WORDS: Final = _load()


class Words:
    """The catalogue in one language; called with a key, it gives the text. Where `count` is 1, an
    English word may have another form (`en_one`); Chinese has one form for all numbers."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        told = WORDS[key]
        one = told.get(f"{self.language}_one") if str(values.get("count")) == "1" else None
        text = one or told[self.language]
        return text.format(**{**values, **_grouped(values)}) if values else text


def _grouped(values: dict[str, object]) -> dict[str, object]:
    """Whole numbers as 4,603. What is no number of things (a port) comes as text."""
    return {
        name: f"{value:,}"
        for name, value in values.items()
        if isinstance(value, int) and not isinstance(value, bool) and name in _COUNTS
    }


def asked_language(request: Request[Any, Any, Any]) -> str | None:
    """The language of `?lang=`, if it is one of ours."""
    asked = request.query_params.get("lang", "")
    return asked if asked in LANGUAGES else None


def language_of(request: Request[Any, Any, Any]) -> str:
    """What the reader chose just now or before; else what the browser prefers."""
    chosen = asked_language(request) or cookies.read(request, cookies.LANGUAGE)
    if chosen in LANGUAGES:
        return chosen
    return preferred(request.headers.get("accept-language", ""))
