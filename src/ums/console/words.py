"""The words of the console's pages and which language a reader gets."""

import tomllib
from pathlib import Path
from typing import Any, Final

from litestar import Request

from ums.core.languages import preferred

LANGUAGES: Final = {"en": "English", "zh": "中文"}
HTML_LANG: Final = {"en": "en", "zh": "zh-CN"}
COOKIE: Final = "ums_language"


def _load() -> dict[str, dict[str, str]]:
    """Each area of the console has a file; its words are called `area.word`, those that all
    pages share by the word alone."""
    words: dict[str, dict[str, str]] = {}
    for file in sorted((Path(__file__).parent / "words").glob("*.toml")):
        area = "" if file.stem == "common" else f"{file.stem}."
        for key, told in tomllib.loads(file.read_text(encoding="utf-8")).items():
            words[area + key] = told
    return words


WORDS: Final = _load()


class Words:
    """The catalogue in one language; called with a key, it gives the text."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        text = WORDS[key][self.language]
        return text.format(**values) if values else text


def asked_language(request: Request[Any, Any, Any]) -> str | None:
    """The language of `?lang=`, if it is one of ours."""
    asked = request.query_params.get("lang", "")
    return asked if asked in LANGUAGES else None


def language_of(request: Request[Any, Any, Any]) -> str:
    """What the reader chose just now or before; else what the browser prefers."""
    chosen = asked_language(request) or request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return preferred(request.headers.get("accept-language", ""))
