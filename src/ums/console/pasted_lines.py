"""Lists that are pasted into a form, one entry a line: every line that is wrong is named."""

from collections.abc import Callable, Sequence
from typing import Final

from ums.core.common.identifiers import is_userid
from ums.errors import Invalid
from ums.mail.addresses import BadAddress, clean

MAX_TOLD: Final = 100  # lines that are named
_SHOWN: Final = 60  # characters of a line


def entries_of(text: str, is_good: Callable[[str], bool], *, field: str, reason: str) -> list[str]:
    """The entries, without blank lines. Raises Invalid (`reason`, of `field`) with the number and
    the text of each line that is none, and where there is no entry at all."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    filled = [(number, line) for number, line in lines if line]
    if not filled:
        raise Invalid("missing", field=field)
    refuse_lines([one for one in filled if not is_good(one[1])], field=field, reason=reason)
    return [line for _, line in filled]


def refuse_lines(bad: Sequence[tuple[int, str]], *, field: str, reason: str) -> None:
    """Raises Invalid if there are any, naming them."""
    if bad:
        told = ", ".join(f"{number} ({line[:_SHOWN]})" for number, line in bad[:MAX_TOLD])
        more = " …" if len(bad) > MAX_TOLD else ""
        raise Invalid(reason, field=field, count=len(bad), lines=told + more)


def is_address(text: str) -> bool:
    try:
        clean(text)
    except BadAddress:
        return False
    return True


def is_entry(text: str) -> bool:
    """Whether it is an address or a userid."""
    return is_address(text) if "@" in text else is_userid(text)
