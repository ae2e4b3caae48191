"""Verbs of tokens, statistics, and imports that ran."""

from datetime import datetime
from typing import cast

import msgspec
from msgspec import Struct

from ums import clock
from ums.core.channels.channels import find
from ums.core.common.timestamps import milliseconds
from ums.core.context.app_context import AppContext
from ums.core.identity import api_tokens
from ums.core.identity.api_tokens import NewToken
from ums.core.identity.scopes import Scope
from ums.core.imports import drafts, undo
from ums.core.messages.intake import Intake
from ums.core.reporting import statistics
from ums.core.reporting.statistics_sql import Asked, By
from ums.core.verbs.base import Id, Verb
from ums.core.verbs.users import ImportId
from ums.errors import Invalid, NotFound


class Part(Struct):
    after: str | None = None
    limit: int = 100


class TokenCreate(Struct):
    name: str
    scopes: list[str]
    channels: list[str] | None = None
    days: float | None = None  # until it ends


class TokenRevoke(Struct):
    id: Id


class StatsShow(Struct):
    by: By = "day"
    channel: str | None = None
    sender: str | None = None
    message: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    zone: str = "UTC"
    after: str | None = None
    limit: int = 100


async def _token_create(system: AppContext, _: Intake, p: TokenCreate) -> object:
    given = NewToken(p.name, cast("list[Scope]", p.scopes), p.channels)  # unknown ones are refused
    if p.days is not None:
        given = msgspec.structs.replace(given, expires_at=_after(p.days))
    system.directory.forget()
    return await api_tokens.create(system, given)


def _after(days: float) -> datetime:
    if not 0 < days <= 36_500:
        raise Invalid("bad_value", field="days")
    return datetime.fromisoformat(clock.iso(clock.now() + round(days * clock.DAY)))


async def _token_list(system: AppContext, _: Intake, p: Part) -> object:
    return await api_tokens.list_tokens(system, after=p.after, limit=p.limit)


async def _token_revoke(system: AppContext, _: Intake, p: TokenRevoke) -> object:
    return await api_tokens.revoke(system, p.id)


async def _stats_show(system: AppContext, _: Intake, p: StatsShow) -> object:
    now = await system.directory.fresh()
    until = clock.now() if p.until is None else milliseconds(p.until, "until")
    since = None if p.since is None else milliseconds(p.since, "since")
    sender = now.sender_codes.get(p.sender or "")
    if p.sender is not None and sender is None:
        raise NotFound("sender_unknown", code=p.sender[:30])
    asked = Asked(
        by=p.by,
        since=statistics.default_since(p.by, until) if since is None else since,
        until=until,
        channels=None if p.channel is None else frozenset({find(now, p.channel).id}),
        sender=None if sender is None else sender.id,
        msgid=p.message,
        zone=p.zone,
    )
    async with system.database.read() as tx:
        return await statistics.statistics(tx, now, asked, after=p.after, limit=p.limit)


async def _import_list(system: AppContext, _: Intake, p: Part) -> object:
    async with system.database.read() as tx:
        return await drafts.list_imports(tx, after=p.after, limit=p.limit)


async def _import_undo(system: AppContext, _: Intake, p: ImportId) -> object:
    await undo.request(system, p.id)
    async with system.database.read() as tx:
        return await drafts.show(tx, p.id)


VERBS = {
    "token.create": Verb(TokenCreate, _token_create),
    "token.list": Verb(Part, _token_list),
    "token.revoke": Verb(TokenRevoke, _token_revoke),
    "stats.show": Verb(StatsShow, _stats_show),
    "import.list": Verb(Part, _import_list),
    "import.undo": Verb(ImportId, _import_undo),
}
