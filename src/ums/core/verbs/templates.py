"""Verbs of templates. Each names the channel, and reaches that channel's alone."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages import template_preview
from ums.core.messages.intake import Intake
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.verbs.base import Id, Verb


class Create(Struct):
    channel: str
    name: str
    subject: str
    html: str | None = None
    text: str | None = None
    mjml: str | None = None
    defaults: dict[str, Any] = {}


class Update(Struct):
    channel: str
    id: Id
    name: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    html: str | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET
    mjml: str | UnsetType | None = UNSET
    defaults: dict[str, Any] | UnsetType = UNSET
    derive_text: bool = False  # as `text` null, which the command's door does not carry


class Listed(Struct):
    channel: str
    after: str | None = None
    limit: int = 100


class One(Struct):
    channel: str
    id: Id


class Show(Struct):
    channel: str
    id: Id
    version: int | None = None


class Look(Struct):
    channel: str
    id: Id
    version: int | None = None
    userid: str | None = None
    para: dict[str, Any] = {}


class Try(Look):
    to: str = ""


async def _channel(system: AppContext, key: str) -> Channel:
    return channels.find(await system.directory.fresh(), key)


async def _create(system: AppContext, _: Intake, p: Create) -> object:
    sources = Sources(p.subject, p.html, p.text, p.mjml)
    channel = await _channel(system, p.channel)
    return await store.create(system, channel, p.name, sources, p.defaults)


async def _update(system: AppContext, _: Intake, p: Update) -> object:
    given = msgspec.structs.asdict(p)
    channel = await _channel(system, given.pop("channel"))
    if given.pop("derive_text"):
        given["text"] = None
    return await store.change(system, channel, given.pop("id"), store.Change(**given))


async def _list(system: AppContext, _: Intake, p: Listed) -> object:
    channel = await _channel(system, p.channel)
    async with system.database.read() as tx:
        return await store.list_templates(tx, channel, after=p.after, limit=p.limit)


async def _show(system: AppContext, _: Intake, p: Show) -> object:
    return await store.show(system, await _channel(system, p.channel), p.id, p.version)


async def _preview(system: AppContext, _: Intake, p: Look) -> object:
    channel = await _channel(system, p.channel)
    return await template_preview.preview(
        system, channel, p.id, version=p.version, userid=p.userid, para=p.para
    )


async def _test(system: AppContext, intake: Intake, p: Try) -> object:
    channel = await _channel(system, p.channel)
    return await template_preview.send_test(
        system, intake, channel, p.id, p.to, version=p.version, userid=p.userid, para=p.para
    )


async def _open(system: AppContext, _: Intake, p: One) -> object:
    return await store.set_open(system, await _channel(system, p.channel), p.id, open=True)


async def _close(system: AppContext, _: Intake, p: One) -> object:
    return await store.set_open(system, await _channel(system, p.channel), p.id, open=False)


VERBS = {
    "template.create": Verb(Create, _create),
    "template.update": Verb(Update, _update),
    "template.list": Verb(Listed, _list),
    "template.show": Verb(Show, _show),
    "template.preview": Verb(Look, _preview),
    "template.test": Verb(Try, _test),
    "template.open": Verb(One, _open),
    "template.close": Verb(One, _close),
}
