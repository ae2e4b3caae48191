"""What a request did to many things at once, as entries that each tell a part of it: one keeps no
list without end (`masking`)."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from ums.core.audit import audit_log
from ums.core.audit.audit_log import Note
from ums.core.audit.masking import MOST
from ums.db import Tx

T = TypeVar("T")
PART: Final = 200  # lines of one entry


def parts_of(items: Sequence[T], size: int = PART) -> Iterator[tuple[str, Sequence[T]]]:
    """The items by `size`, each part with words that say which ones of how many they are."""
    for start in range(0, len(items), size):
        part = items[start : start + size]
        whole = len(items) <= size
        yield ("" if whole else f"{start + 1} to {start + len(part)} of {len(items)}"), part


def grouped(lines: Sequence[str]) -> dict[str, list[str]]:
    """The lines of a part, as fields that are kept whole."""
    starts = range(0, len(lines), MOST)
    return {f"from {start + 1}": list(lines[start : start + MOST]) for start in starts}


async def note_lines(
    tx: Tx,
    action: str,
    subject: str,
    lines: Sequence[str],
    noun: str,
    *,
    gone: bool,
    actor: str | None = None,
) -> None:
    """Write down what was put on a list, or is `gone` from it; `noun` is what its lines are."""
    told = f"{len(lines)} {noun}"
    if not lines:
        await audit_log.note(tx, action, subject, told, before={}, after={}, actor=actor)
        return
    by = audit_log.source()
    notes: list[Note] = []
    for place, part in parts_of(lines):
        kept, detail = grouped(part), ", ".join(filter(None, (told, place)))
        before, after = (kept, None) if gone else (None, kept)
        notes.append(Note(by, subject, before=before, after=after, detail=detail))
    await audit_log.note_all(tx, action, notes, actor=actor)
