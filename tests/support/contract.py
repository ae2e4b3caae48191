"""How a schema is held to its server, in both directions: what fits it is not refused for its
shape, and what does not fit it is not taken."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st

from ums.core.users.fields import KINDS
from ums.mail.mime.headers import has_control

_ATOM = st.text("abcxyzABC0189!#$%&'*+/=^_`{|}~-", min_size=1, max_size=12)
_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
_HOST = st.builds("{}.{}".format, _LABEL, st.sampled_from(["example", "com", "中国", "XN--FIQS8S"]))
_BLANKS = st.sampled_from(["", "", "", " ", "\u3000"])
ADDRESSES = st.builds("{2}{0}@{1}{2}".format, st.one_of(_ATOM, st.just("用户")), _HOST, _BLANKS)
URLS = st.builds("{}://{}/{}".format, st.sampled_from(["http", "HTTPS"]), _HOST, _LABEL)
# Schemathesis has texts for formats in ASCII only, or of hosts that IDNA does not know.
MADE = {"idn-email": ADDRESSES, "iri": URLS}
for name, made in MADE.items():
    schemathesis.openapi.format(name, made)


ANSWERS = {"responses", "UserReport"}  # they are as long as they are


def lean(part: Any, *, most: int = 3) -> Any:
    """The same with short arrays: of long ones most of the time goes into making them up. Where
    texts are made for a format they are not made for its pattern, which says less."""
    if isinstance(part, list):
        return [lean(one, most=most) for one in part]
    if not isinstance(part, dict):
        return part
    found = {
        key: value if key in ANSWERS else lean(value, most=most) for key, value in part.items()
    }
    if str(found.get("format")) in MADE:
        found.pop("pattern", None)
    if "maxItems" in found or found.get("type") in ("array", ["array", "null"]):
        found["maxItems"] = min(found.get("maxItems", most), most)
    return found


@dataclass(frozen=True)
class Unsaid:
    """A rule that JSON Schema has no words for; the text of the schema tells it.

    `why` is what it has no words for. `broken` finds out whether a body
    really breaks the rule: otherwise what the schema allows was refused for something else.
    """

    why: str
    broken: Callable[[Any], bool]


def texts(value: Any) -> Iterator[str]:
    """Every text in `value`, names too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def any_text(rule: Callable[[str], bool]) -> Callable[[Any], bool]:
    return lambda body: any(map(rule, texts(body)))


def numbers(value: Any) -> Iterator[float]:
    """Every number in `value`."""
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)


def unstorable(body: Any) -> bool:
    """Whether no database keeps all of it."""
    return any("\x00" in text for text in texts(body)) or any(
        not -(2**63) <= number < 2**63 for number in numbers(body)
    )


def bytes_over(most: int) -> Callable[[Any], bool]:
    return any_text(lambda text: len(text.encode()) > most)


unprintable = any_text(lambda text: not text.isprintable())
hidden_break = any_text(has_control)
odd_host = any_text(lambda text: bool(re.match("https?:", text, re.I)) and not _PLAIN.match(text))
_PLAIN = re.compile(r"https?://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,4})?([/?#]|$)", re.I)


def set_twice(body: Any) -> bool:
    """Whether an entry has a kind both of itself and in `set`, or by two names of one bind id."""
    return any(
        name in KINDS or name == "attributes"
        for entry in (body if isinstance(body, list) else [body])
        for name in (entry.get("set") or {})
        if entry.get(name) is not None
    )


def odd_zone(body: Any) -> bool:
    """Whether its zone is none."""
    return body.get("zone", "UTC") not in _ZONES


_ZONES = available_timezones()


def validator(schema: dict[str, Any], document: dict[str, Any]) -> Callable[[Any], bool]:
    """Tells whether a value fits `schema`, formats aside: whoever reads it need not know them."""
    whole = {**schema, "components": document["components"]}
    found = jsonschema_rs.Draft202012Validator(whole, validate_formats=False)

    def fits(value: Any) -> bool:
        try:
            return found.is_valid(value)
        except ValueError:  # no JSON at all
            return False

    return fits


def refused(reasons: set[str], body: Any, state: set[str], unsaid: dict[str, Unsaid]) -> set[str]:
    """Those of `reasons` that what is stored does not explain, and no rule that is unsaid: of a
    body that fits its schema there are none."""
    return {one for one in reasons - state if not (one in unsaid and unsaid[one].broken(body))}
