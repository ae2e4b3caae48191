"""What every entry of the audit log has to say of before and after, whoever writes it.

A change says both, something new says `after`, what is gone says `before`. `tests/conftest.py`
holds each entry that any test makes UMS write to it, so that a new action is held to it from its
first test on. What it does not apply to stands in EVENTS, each with its reason.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pytest

from ums.console.administration.audit_log import action_words
from ums.console.i18n import LANGUAGES
from ums.core.audit import audit_log
from ums.core.audit.audit_log import Note

MADE: Final = {"create", "add", "exempt", "upload", "invite", "accept", "send", "checkpoint"}
GONE: Final = {"delete", "remove", "mailbox_remove", "revoke", "lift", "retire", "end_session"}
EITHER: Final = {"put"}  # makes what is not there

_SIGN_IN: Final = "somebody signs in or out, or fails to: nothing is changed"
_GIVEN: Final = "data is given out, and nothing is changed"
_LOOKED: Final = "UMS looks or tries, and changes nothing"
EVENTS: Final = {
    **dict.fromkeys(
        (
            *("operator.sign_in", "operator.sign_out", "operator.confirm"),
            "operator.password_accepted",
            *("sign_in.failed", "sign_in.throttled", "access.failed", "access.throttled"),
            *("link.enter", "link.failed"),
        ),
        _SIGN_IN,
    ),
    **dict.fromkeys(
        (
            *("audit.export", "message.export", "statistics.export", "suppression.export"),
            *("import.export", "sandbox.export", "audit.list"),
            *("user.list", "delivery.list", "suppression.list", "list.entries", "segment.users"),
        ),
        _GIVEN,
    ),
    **dict.fromkeys(
        ("sender.test", "sender.mailbox_look", "callback.test", "audit.verify"), _LOOKED
    ),
    "template.test": "a test mail, whose message is the record",
    "suppression.held_back": "UMS says why it suppresses nobody for now",
    "restored.hold": "UMS says that it found a restored backup, and holds what waits",
    "restored.confirm": "changes nothing where nothing is held",
    "provider_events.take": "what a provider tells; the deliveries keep it",
    "secret.acknowledge": "somebody has kept a secret, which is then shown no more",
    "draft.keep": "a mail that is being written: its text must not outlive it",
    "draft.delete": "the same",
}
"""Actions without before and after, and why."""


def flaw_of(action: str, before: object, after: object) -> str:
    """What an entry lacks; "" where it lacks nothing."""
    if action in EVENTS or (before == {} and after == {}):
        return ""
    verb, lacks = action.rpartition(".")[2], list[str]()
    if verb not in MADE | EITHER and (before is None or (verb in GONE and not before)):
        lacks.append("before")
    if verb not in GONE and (after is None or (verb in MADE and not after)):
        lacks.append("after")
    return f"{action} has no {' and no '.join(lacks)}" if lacks else ""


def _flaws(action: str, before: Any, after: Any) -> Iterator[str]:
    if lacking := flaw_of(action, before, after):
        yield lacking
    for language in LANGUAGES:
        if not action_words(action, language):
            yield f"{action} has no words in {language}"


@contextmanager
def holding(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the entries that UMS writes meanwhile lack."""
    found: list[str] = []
    note, note_all = audit_log.note, audit_log.note_all

    def check(action: str, before: object, after: object) -> None:
        caller = str(sys._getframe(2).f_globals["__name__"])
        if caller.startswith("ums."):
            found.extend(f"{flaw} ({caller})" for flaw in _flaws(action, before, after))

    def noting(tx: Any, action: str, subject: str, detail: str = "", **more: Any) -> Any:
        check(action, more.get("before"), more.get("after"))
        return note(tx, action, subject, detail, **more)

    def noting_all(tx: Any, action: str, notes: Sequence[Note], **more: Any) -> Any:
        for one in notes:
            check(action, _plain(one.before), _plain(one.after))
        return note_all(tx, action, notes, **more)

    patch.setattr(audit_log, "note", noting)
    patch.setattr(audit_log, "note_all", noting_all)
    yield found


def _plain(fields: Mapping[str, object] | None) -> dict[str, object] | None:
    return None if fields is None else dict(fields)
