"""What the audit log may say of a value: never a secret, and never without end."""

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

import msgspec
from msgspec import Struct

MASK: Final = "***"
LONGEST: Final = 500  # characters of one text
MOST: Final = 20  # items of one list, or fields
DEEPEST: Final = 4
_SECRET_NAME: Final = re.compile(
    r"secret|password|passwd|token|recovery|totp|credential|private_?key|api_?key|authorization",
    re.IGNORECASE,
)
# What is a secret whatever its name: sealed texts, tokens, secrets of endpoints, credentials.
_SECRET_TEXT: Final = re.compile(
    r"\bv\d+:(?:[0-9a-f]{8,}:)?[A-Za-z0-9+/]{36,}={0,2}"
    r"|\bums_[A-Za-z0-9_-]{40,}"
    r"|\bwhsec_[A-Za-z0-9+/]{16,}={0,2}"
    r"|\$argon2[a-z]*\$\S+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)


def masked(value: object, *, name: str = "", depth: int = 0) -> Any:
    """`value` as plain JSON values, with secrets masked and long texts and lists cut."""
    if isinstance(value, str):
        return MASK if value and _SECRET_NAME.search(name) else masked_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(name):
        return MASK
    return _inside(value, name, depth)


def masked_text(text: str, longest: int = LONGEST) -> str:
    """`text` without what looks like a secret, cut where it is long."""
    # PostgreSQL stores no null character, and no database half a character.
    shown = text[: 2 * longest].replace("\x00", "").encode("utf-8", "replace").decode()
    shown = _SECRET_TEXT.sub(MASK, shown)
    return shown if len(shown) <= longest else f"{shown[:longest]}..."


def difference(
    before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """What differs between the two, as it was and as it is. A changed secret stays in both."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    was = {name: before[name] for name in names if name in before}
    return was, {name: after[name] for name in names if name in after}


def _inside(value: object, name: str, depth: int) -> Any:
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, Struct):
        value = msgspec.structs.asdict(value)
    if depth >= DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return _fields(value, depth)
    if isinstance(value, Sequence | Set):
        return _items(list(value), name, depth)
    return masked_text(str(value))


def _fields(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    pairs = list(value.items())
    shown = {
        masked_text(str(name)): masked(one, name=str(name), depth=depth + 1)
        for name, one in pairs[:MOST]
    }
    return shown if len(pairs) <= MOST else {**shown, "...": f"{len(pairs) - MOST} more"}


def _items(value: list[Any], name: str, depth: int) -> list[Any]:
    shown = [masked(one, name=name, depth=depth + 1) for one in value[:MOST]]
    return shown if len(value) <= MOST else [*shown, f"... {len(value) - MOST} more"]
