"""Forms: what was typed, and what is wrong with it, beside the field it is about."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, get_args

from litestar.datastructures import UploadFile

from ums.console.current_operator import AnyRequest
from ums.console.i18n import Words, language_of
from ums.errors import Invalid, UmsError


class Form:
    """A form as it stands on a page; `values` may be anything that is shown as text."""

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        error: UmsError | None = None,
        others: Sequence[UmsError] = (),
        language: str = "en",
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """`others` are what is wrong besides `error`, which may be among them; `fields` names the
        form's field for each field of `core` that is called otherwise."""
        self.values: dict[str, Any] = dict(values or {})
        self.errors: dict[str, str] = {}
        self.trouble = ""  # what is wrong with no single field
        for one in (*([] if error is None else [error]), *others):
            self._tell(one, language, fields or {})

    def _tell(self, error: UmsError, language: str, fields: Mapping[str, str]) -> None:
        named = str(error.values.get("field", "")) or _FIELD_OF.get(error.reason, "")
        field, part = self._place(named, fields)
        words, known = _without_name(error, language, part), field and field in self.values
        if known:
            self.errors[field] = _with(self.errors.get(field, ""), words)
        else:
            self.trouble = _with(self.trouble, _of_no_field(error, words, language))

    def _place(self, named: str, fields: Mapping[str, str]) -> tuple[str, str]:
        """The form's field, and the part of it: `defaults.colour` is the part colour of a field."""
        field = fields.get(named, named)
        if field in self.values or not named:
            return field, ""
        outer = re.split(r"[.\[]", named)[0]
        part = named[len(outer) + 1 :]
        return fields.get(outer, outer), "" if set(part) & set(".[]") else part

    def value(self, name: str) -> str:
        found = self.values.get(name)
        return "" if found is None else str(found)

    def checked(self, name: str, value: str = "on") -> bool:
        found = self.values.get(name)
        if isinstance(found, list | tuple | set | frozenset):
            return value in found
        return found is True or found == value

    def error(self, name: str, label: str = "") -> str:
        """What is wrong with the field, which the page calls `label`."""
        return self.errors.get(name, "").replace(_LABEL, label or name)


def _with(told: str, words: str) -> str:
    """One line for each thing that is wrong, each once."""
    lines = told.split("\n") if told else []
    return "\n".join(lines if words in lines else [*lines, words])


def _of_no_field(error: UmsError, words: str, language: str) -> str:
    """What is wrong, in words that name no field: the page has none of this name."""
    if error.reason == "missing":
        return Words(language)("fill_in_all")
    told = words.replace(_LABEL, Words(language)("some_field"))
    return told[:1].upper() + told[1:]


_LABEL = "\ue000"  # stands for the field's label, which only the page knows


def _without_name(error: UmsError, language: str, part: str = "") -> str:
    """What is wrong, in the words of a page: without the name that programs know the field by, but
    with the name of the `part` of it."""
    if error.reason == "missing":
        return Words(language)("fill_in")
    told = copy(error)
    told.values = {**error.values, "field": _LABEL} if "field" in error.values else error.values
    words = told.words(language)
    for name in (_LABEL, "subject"):
        for mark in (": ", "：", " 不合法："):
            words = words.removeprefix(name + mark)
    if part:
        return f"{part}{Words(language)('colon')}{words}"
    return words[:1].upper() + words[1:]


# Errors of `core` that are about one field without saying so.
_FIELD_OF = {
    "name_taken": "name",
    "key_shape": "key",
    "key_taken": "key",
    "short_password": "password",
    "common_password": "password",
    "password_like_name": "password",
    "wrong_password": "password",
    "bad_subject": "subject",
    "template_empty": "html",
    "attributes_large": "attributes",
    "material_large": "file",
    "materials_full": "file",
}


async def given(request: AnyRequest) -> dict[str, str]:
    """The fields of the form that was sent; of several of one name the last."""
    return {name: values[-1] for name, values in (await lists(request)).items()}


async def lists(request: AnyRequest) -> dict[str, list[str]]:
    """The same, with all values of each name. Files are left out."""
    found: dict[str, list[str]] = {}
    data: Any = await request.form()
    for name, value in data.multi_items():
        if not isinstance(value, UploadFile):
            # Browsers send the line ends of mail; NUL and half characters no database keeps.
            text = str(value).replace("\r\n", "\n").replace("\x00", "")
            found.setdefault(name, []).append(text.encode("utf-8", "replace").decode())
    return found


def refused(
    request: AnyRequest,
    values: Mapping[str, Any],
    error: UmsError,
    fields: Mapping[str, str] | None = None,
    others: Sequence[UmsError] = (),
) -> Form:
    """The form again, with what is wrong in the reader's language."""
    language = language_of(request)
    return Form(values, error=error, others=others, language=language, fields=fields)


def check_again(fields: Mapping[str, str]) -> None:
    """Raises Invalid unless the new password was typed twice."""
    if fields.get("password", "") != fields.get("again", ""):
        raise Invalid("passwords_differ", field="again")


def wait(error: UmsError) -> dict[str, str]:
    """The headers of a page that tells somebody to wait."""
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def sort_of(request: AnyRequest, orders: Any, usual: str) -> Any:
    """The order that the address asks for, if it is one of the literal type `orders`."""
    asked = request.query_params.get("sort")
    return asked if asked in get_args(orders) else usual


def whole(text: str, digits: int = 18) -> int | None:
    """The whole number that was typed; None for what is none, or has more digits."""
    is_one = text.isascii() and text.isdecimal() and len(text) <= digits
    return int(text) if is_one else None


def chosen(values: Sequence[str]) -> list[str]:
    """What was ticked, without the empty values that stand for nothing."""
    return [value for value in values if value]


def parted(text: str) -> list[str]:
    """What stands between commas, of either kind; nothing that is empty."""
    words = text.replace("，", ",").split(",")
    return [word.strip() for word in words if word.strip()]
