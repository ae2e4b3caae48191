"""The kinds of data a user holds under a bind id, and what a value of each looks like."""

import re
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from ums.bounds import EMAIL, IDENTIFIER
from ums.core.common.identifiers import MAX_TAG, TAG, is_tag, is_userid
from ums.errors import Invalid
from ums.mail.addresses import BadAddress
from ums.mail.addresses import clean as clean_email

ALL = "all"
MAX_VALUE = 254

Scope = Literal["channel", "sender", "all"]

_PHONE = re.compile(r"\+?[0-9]{3,20}").fullmatch
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search


class Kind(Struct, frozen=True):
    """How one kind is bound and checked."""

    scope: Scope  # bound to a channel or `all`; to a sender; or always to `all`
    many: bool
    limit: int  # values per user and bind id
    clean: Callable[[str], str]  # the normal form; raises ValueError, its text for people
    shape: dict[str, Any]  # of a value, as JSON Schema has it
    reason: str = "bad_value"  # of a value that `clean` refuses


def _tag(text: str) -> str:
    if not is_tag(text):
        raise ValueError("not a tag")
    return text


def _phone(text: str) -> str:
    number = text.replace(" ", "").replace("-", "")
    if _PHONE(number) is None:
        raise ValueError("not a telephone number")
    return number


def _plain(text: str) -> str:
    # isprintable also refuses invisible and direction-changing characters.
    if not 0 < len(text) <= MAX_VALUE or " " in text or not text.isprintable():
        raise ValueError("not an identifier")
    return text


def _linked(text: str) -> str:
    corp, slash, person = _plain(text).partition("/")
    if not (corp and slash and person):
        raise ValueError("give CorpId/userid")
    return text


_PLAIN: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_VALUE,
    "pattern": IDENTIFIER,
}
_DIGITS = {"type": "string", "pattern": r"^[ -]*(\+[ -]*)?([0-9][ -]*){3,20}$"}
_LINK = {**_PLAIN, "pattern": IDENTIFIER.replace("[^", "[^/").replace("$", "/") + IDENTIFIER[1:]}
_LABEL = {"type": "string", "minLength": 1, "maxLength": MAX_TAG, "pattern": TAG}
_SENDER = Kind("sender", False, 1, _plain, _PLAIN)
KINDS: dict[str, Kind] = {
    "tag": Kind("channel", True, 100, _tag, _LABEL, "bad_tag"),
    "phone": Kind("channel", False, 1, _phone, _DIGITS),
    "email": Kind("channel", False, 1, clean_email, EMAIL, "bad_address"),
    "app": Kind("sender", True, 20, _plain, _PLAIN),
    "wechatoa": _SENDER,
    "wechatmp": _SENDER,
    "alipaylife": _SENDER,
    "dingtalkcc": Kind("all", False, 1, _plain, _PLAIN),
    "wechatwk": Kind("all", False, 1, _plain, _PLAIN),
    "wechatwk_linkedcorp": Kind("all", True, 100, _linked, _LINK),
}


def read_userid(given: object, field: str = "userid") -> str:
    """`given` as a userid (ums-spec 3.4); a whole number is read as its decimal string.

    Raises Invalid when it is missing or not 1 to 64 of the characters a userid may hold.
    """
    if given is None or given == "":
        raise Invalid("missing", field=field)
    text = show_userid(given)  # a cut one is too long all the same
    if not is_userid(text):
        refuse_control(text, field)
        raise Invalid("bad_userid", field=field)
    return text


def show_userid(given: object) -> str:
    """What stands for `given` in a report, whether it is a legal userid or not."""
    if isinstance(given, float) and given.is_integer() and abs(given) < 2**53:
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 10**64:
        return str(given)
    return given[:200] if isinstance(given, str) else ""


def read_value(name: str, text: str, field: str) -> str:
    """`text` in the normal form of kind `name`. Raises Invalid naming `field`."""
    kind = KINDS[name]
    try:
        return kind.clean(text)
    except ValueError as error:
        refuse_control(text, field)
        detail = error.detail if isinstance(error, BadAddress) else str(error)
        raise Invalid(kind.reason, field=field, detail=detail) from None


def refuse_control(text: str, field: str) -> None:
    """Raises Invalid when `text` holds NUL, another control character or half a character."""
    if _CONTROL(text) is not None:
        raise Invalid("control_characters", field=field)
