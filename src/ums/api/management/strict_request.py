"""Requests of the management API are read by the letter: as its document describes them.

Litestar reads values of JSON bodies and of queries as leniently as each other: "true" and 1 for
true, 1893456000 for a time. In a query all is text, so there the form of the text is looked at.
"""

import re
from datetime import datetime
from functools import cache
from typing import Any, Final, get_args

import msgspec
from litestar.exceptions import ValidationException
from msgspec import structs

from ums.bounds import as_integers
from ums.core.common.timestamps import MOMENT
from ums.errors import Detail
from ums.web.bodies import BoundedRequest

_FORMS: Final[dict[Any, tuple[re.Pattern[str], str]]] = {
    int: (re.compile(r"-?[0-9]+"), "not_whole"),
    bool: (re.compile("true|false"), "true_or_false"),
    datetime: (re.compile(MOMENT), "moment_form"),
}
_PATH: Final = re.compile(r"`\$\.?(.+)`$")


class StrictRequest(BoundedRequest):
    """A request whose JSON has to be of the types that its route takes, and not only like them."""

    async def json(self) -> Any:
        value = await super().json()
        taken: Any = self.scope["route_handler"].parsed_data_field
        if taken is None:
            return value
        try:
            return _read(value, taken.raw)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise _misfit(str(error)) from None
        try:
            return _read(msgspec.json.decode(as_integers(await self.body())), taken.raw)
        except msgspec.ValidationError as error:
            raise _misfit(str(error)) from None


def _read(value: Any, taken: Any) -> Any:
    if isinstance(value, dict):
        for name in _moments(taken):
            text = value.get(name)
            if isinstance(text, str) and not re.fullmatch(MOMENT, text):
                raise msgspec.ValidationError(f"Invalid RFC3339 encoded datetime - at `$.{name}`")
    return msgspec.convert(value, taken)


@cache
def _moments(taken: Any) -> tuple[str, ...]:
    """The members of a body that are times."""
    known = get_args(taken)[0]
    if not (isinstance(known, type) and issubclass(known, msgspec.Struct)):
        return ()
    return tuple(one.encode_name for one in structs.fields(known) if is_of(one.type, datetime))


def is_of(annotation: Any, wanted: Any) -> bool:
    """Whether a value of `annotation` may be a `wanted`."""
    return annotation is wanted or any(is_of(one, wanted) for one in get_args(annotation))


def fault(annotation: Any, text: str) -> Detail | None:
    """What is wrong with the form of a text that stands in a query for such a value."""
    for wanted, (form, reason) in _FORMS.items():
        if is_of(annotation, wanted) and not form.fullmatch(text):
            return Detail(reason)
    return None


def _misfit(text: str) -> ValidationException:
    """As Litestar tells of the same."""
    place = _PATH.search(text)
    entry = {"message": text.split(" - ", maxsplit=1)[0], "source": "body"}
    return ValidationException(extra=[{**entry, "key": place[1] if place else "data"}])
