"""The errors UMS tells its callers, and their words in English and Chinese.

    UmsError
    |-- Invalid            400  4004      a parameter is not legal
    |   |-- TooLarge       413  4004
    |   |-- HeadTooLarge   431  4004
    |   |-- Slow           408  4004
    |   |-- NotFound       404  4004
    |   |-- WrongMethod    405  4004
    |   |-- Conflict       409  4004      what is there stands against it
    |   |-- Outdated       412  4004      it was changed since the caller looked
    |   |-- WrongMedia     415  4004
    |   `-- Unprocessable  422  4004
    |-- NotAuthenticated   401  4005
    |-- Forbidden          403  4005
    |-- Refused            400  1015xxx   the channel, or a rule, does not allow it
    |-- Busy               429  1015030
    |-- Unavailable        503  5000      try again
    `-- Broken             500  5000

Codes and statuses: ums-spec 3.1 and 3.2. The `reason` is ours: a stable word for programs.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Self

_DETAILS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("details.toml").read_text("utf-8")
)


class Detail(str):
    """A part of an error's words that has words in each language itself; as text it is English."""

    __slots__ = ("reason", "values")
    reason: str
    values: dict[str, object]

    def __new__(cls, reason: str, /, **values: object) -> Self:
        made = super().__new__(cls, _DETAILS[reason]["en"].format(**_said(values, "en")))
        made.reason, made.values = reason, values
        return made

    def words(self, language: str = "en") -> str:
        """The text in `language`."""
        return _DETAILS[self.reason][_side(language)].format(**_said(self.values, language))


def _said(values: dict[str, object], language: str) -> dict[str, object]:
    """The values of words, those with words of their own in `language`."""
    return {
        name: value.words(language) if isinstance(value, Detail) else value
        for name, value in values.items()
    }


def _side(language: str) -> str:
    return "zh" if language.startswith("zh") else "en"


class UmsError(Exception):
    """An error to be told to the caller. `values` fill the placeholders of the words."""

    status: ClassVar[int] = 500
    code: int = 5000

    def __init__(self, reason: str, /, **values: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.values = values

    def words(self, language: str = "en") -> str:
        """The message in `language` ("en" or "zh"), short and free of internals."""
        text = self._text(_side(language))
        return text.format(**_said(self.values, language)) if self.values else text

    def _text(self, side: str) -> str:
        """With its placeholders; English has another one where `count` is 1."""
        one = _ONE.get(self.reason) if str(self.values.get("count")) == "1" else None
        return one if one and side == "en" else WORDS[self.reason][side == "zh"]

    @property
    def retry_after(self) -> int | None:
        """After how many seconds it is worth while to try again; None: that would not help."""
        if self.status not in (429, 503) and self.reason != "still_running":
            return None
        told = self.values.get("seconds", 1)
        return told if isinstance(told, int) else 1

    def __str__(self) -> str:
        return self.words()


class Invalid(UmsError):
    status = 400
    code = 4004


class TooLarge(Invalid):
    status = 413


class HeadTooLarge(Invalid):
    status = 431


class Slow(Invalid):
    status = 408


class NotFound(Invalid):
    status = 404


class WrongMethod(Invalid):
    status = 405


class Conflict(Invalid):
    status = 409


class Outdated(Invalid):
    status = 412


class WrongMedia(Invalid):
    status = 415


class Unprocessable(Invalid):
    status = 422


class NotAuthenticated(UmsError):
    status = 401
    code = 4005


class Forbidden(UmsError):
    status = 403
    code = 4005


class Refused(UmsError):
    """A rule of the channel says no; each reason has its own code of ums-spec 3.2."""

    status = 400

    def __init__(self, reason: str, /, **values: object) -> None:
        super().__init__(reason, **values)
        self.code = CODES[reason]


class Busy(UmsError):
    status = 429
    code = 1015030


class Unavailable(UmsError):
    status = 503
    code = 5000


class Broken(UmsError):
    status = 500
    code = 5000


_TABLE: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text("utf-8")
)

WORDS: dict[str, tuple[str, str]] = {name: (row["en"], row["zh"]) for name, row in _TABLE.items()}
"""The message of each reason in English and Chinese."""

_ONE: dict[str, str] = {name: row["en_one"] for name, row in _TABLE.items() if "en_one" in row}

CODES: dict[str, int] = {name: row["code"] for name, row in _TABLE.items() if "code" in row}
"""The reasons that have a code of their own."""


def dump(error: UmsError) -> str:
    """The error as text from which `recall` gets its words, in any language, later."""
    values = {name: plain(value) for name, value in error.values.items()}
    return json.dumps({"reason": error.reason, "values": values}, ensure_ascii=False)


def plain(value: object) -> Any:
    """A value of words as JSON, from which `restored` makes it again."""
    if isinstance(value, Detail):
        inner = {name: plain(one) for name, one in value.values.items()}
        return {"detail": value.reason, "values": inner}
    return value if isinstance(value, str | int | float) else str(value)


def recall(text: str, language: str = "en") -> str:
    """The words of an error that was dumped; what is no dump stays as it is."""
    if not text.startswith('{"reason":'):
        return text
    held = json.loads(text)
    values = {name: restored(value) for name, value in held["values"].items()}
    return UmsError(held["reason"], **values).words(language)


def restored(value: Any) -> Any:
    """What `plain` made plain."""
    if not isinstance(value, dict):
        return value
    inner = {name: restored(one) for name, one in value["values"].items()}
    return Detail(value["detail"], **inner)
