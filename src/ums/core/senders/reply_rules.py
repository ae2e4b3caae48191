"""What operators say that servers' replies mean, and the replies that nobody understands yet."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from sqlalchemy import delete, insert, select

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.field_errors import Check, all_awaited, all_of
from ums.core.context.app_context import AppContext
from ums.core.tables import attempts, reply_rules
from ums.db import Tx
from ums.errors import Conflict, Invalid, NotFound, UmsError
from ums.mail.reply_classifier import REASONS, alike

MOST: Final = 200  # rules
LONGEST: Final = 200  # characters of a text
RECENT: Final = 100_000  # attempts that are looked through for what is not understood
SHOWN: Final = 100
UNCLEAR: Final = ("refused", "temporary", "protocol")
"""The reasons of replies of which only the code is known."""
CODE: Final = "^([45][0-9x][0-9x])?$"
_CODE: Final = re.compile(CODE).fullmatch


class ReplyRule(Struct, frozen=True):
    """A reply that holds the text means the reason."""

    id: int
    text: str
    code: Annotated[str, Meta(description="Such as 550 or 5xx; empty: any.")]
    reason: str
    created_at: str


class Unclear(Struct, frozen=True):
    """Replies that are alike, and of which no rule knows the text."""

    text: Annotated[str, Meta(description="One of them.")]
    code: int
    stage: str
    reason: str
    count: int
    last_at: str


async def create(
    system: AppContext, text: str, reason: str, code: str = "", *, actor: str | None = None
) -> ReplyRule:
    """Say what a reply means from now on. Raises Invalid."""
    for check in _checks(text, reason, code):
        check()
    row: dict[str, Any] = {"text": text, "code": code, "reason": reason}
    async with system.directory.change() as tx:
        await _check_new(tx, text, code)
        made = {**row, "created_at": clock.now()}
        id = int(await tx.value(insert(reply_rules).returning(reply_rules.c.id), made))
        told = f"{text}: {reason}"
        await audit_log.note(tx, "reply_rule.create", str(id), told, after=row, actor=actor)
    return ReplyRule(id, text, code, reason, clock.iso(made["created_at"]))


async def errors_of(system: AppContext, text: str, reason: str, code: str) -> list[UmsError]:
    """All that is wrong with a rule that a form asks for; `create` raises the first of it."""
    async with system.database.read() as tx:
        known = await all_awaited([_check_new(tx, text, code)])
    return [*all_of(_checks(text, reason, code)), *known]


def _checks(text: str, reason: str, code: str) -> Iterator[Check]:
    yield lambda: _check_text(text)
    yield lambda: _check_known("reason", reason in REASONS)
    yield lambda: _check_known("code", _CODE(code) is not None)


def _check_text(text: str) -> None:
    if not 3 <= len(text) <= LONGEST or not text.isprintable() or text.strip() != text:
        raise Invalid("rule_text", field="text", limit=LONGEST)


def _check_known(field: str, known: bool) -> None:
    if not known:
        raise Invalid("bad_value", field=field)


async def _check_new(tx: Tx, text: str, code: str) -> None:
    known = await tx.rows(select(reply_rules.c.text, reply_rules.c.code))
    if len(known) >= MOST:
        raise Invalid("too_many", field="text", limit=MOST)
    if any((one.text, one.code) == (text, code) for one in known):
        raise Conflict("rule_known", field="text")


async def list_rules(system: AppContext) -> list[ReplyRule]:
    """In the order they are tried in: the newest first."""
    async with system.database.read() as tx:
        rows = await tx.rows(select(reply_rules).order_by(reply_rules.c.id.desc()))
    return [
        ReplyRule(row.id, row.text, row.code, row.reason, clock.iso(row.created_at)) for row in rows
    ]


async def remove(system: AppContext, id: int, *, actor: str | None = None) -> None:
    """Raises NotFound."""
    async with system.directory.change() as tx:
        columns = (reply_rules.c.text, reply_rules.c.code, reply_rules.c.reason)
        row = await tx.first(delete(reply_rules).where(reply_rules.c.id == id).returning(*columns))
        if row is None:
            raise NotFound("reply_rule_unknown", id=id)
        before = {"text": row.text, "code": row.code, "reason": row.reason}
        await audit_log.note(tx, "reply_rule.delete", str(id), before=before, actor=actor)


async def unclear(system: AppContext) -> list[Unclear]:
    """What servers said lately that is not understood, the most frequent first."""
    recent = select(attempts).order_by(attempts.c.id.desc()).limit(RECENT).subquery()
    query = select(recent).where(recent.c.reason.in_(UNCLEAR), recent.c.code > 0)
    async with system.database.read() as tx:
        rows = await tx.rows(query.order_by(recent.c.id.desc()))
    found: dict[tuple[int, str, str], list[Any]] = {}
    for row in rows:
        found.setdefault((row.code, row.stage, alike(row.reply)), []).append(row)
    frequent = sorted(found.values(), key=lambda rows: -len(rows))[:SHOWN]
    return [_shown(rows) for rows in frequent]


def _shown(rows: list[Any]) -> Unclear:
    newest = rows[0]
    at = clock.iso(newest.started_at)
    return Unclear(newest.reply, newest.code, newest.stage, newest.reason, len(rows), at)
