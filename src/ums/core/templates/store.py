"""Templates of a channel: made, changed, shown, closed. A change makes a new version."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common import names
from ums.core.common.field_errors import all_awaited, all_of
from ums.core.common.pagination import Page, cut, number, page_size
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import ByName, Order
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import template_versions as versions
from ums.core.tables import templates
from ums.core.templates import compile_process
from ums.core.templates.compile_process import check_sources, compile_sources
from ums.core.templates.compiler import Sources, Variables
from ums.core.templates.syntax_tree import Compiled
from ums.core.templates.variables import check_defaults
from ums.db import Statement, Tx, to_json
from ums.errors import Conflict, Invalid, NotFound, UmsError

_ORDER = Order(templates.c.id, (templates.c.name,))
_INSERT = Statement(
    "INSERT INTO templates (channel_id, name, open, listed, version, created_at, updated_at)"
    " VALUES (:channel, :name, true, :listed, 1, :at, :at)"
    " ON CONFLICT (channel_id, name) DO NOTHING RETURNING id"
)


ALWAYS = ("user.userid", "user.address")
"""Variables that every recipient has."""


class TemplateInfo(Struct, frozen=True):
    """A template as it stands in a list."""

    id: int
    name: str
    channelkey: str
    open: bool
    version: int
    subject: str
    variables: list[str]
    required: list[str]  # of the variables, those without a default of any kind
    created_at: str
    updated_at: str


class TemplateShown(TemplateInfo, frozen=True):
    """A template with one version's sources; `version` is the one that is shown."""

    newest: int
    html: str | None
    text: str | None
    mjml: str | None
    defaults: dict[str, Any]


class VersionInfo(Struct, frozen=True):
    """A version of a template, as it stands in a list."""

    version: int
    subject: str
    created_at: str


class Change(Struct, frozen=True):
    """What of a template is to be different; None removes a source."""

    name: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    html: str | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET
    mjml: str | UnsetType | None = UNSET
    defaults: dict[str, Any] | UnsetType = UNSET


async def create(
    system: AppContext,
    channel: Channel,
    name: str,
    sources: Sources,
    defaults: dict[str, Any] | None = None,
    *,
    listed: bool = True,
) -> TemplateShown:
    """Make a template of the channel's; one that is not `listed` is for one message.

    Raises Invalid, with the line where a source is wrong.
    """
    check_name(name)
    declared = check_defaults(defaults or {})
    compiled = await compile_sources(system, sources)
    async with system.database.write() as tx:
        values = {"channel": channel.id, "name": name, "listed": listed, "at": clock.now()}
        row = await tx.first(_INSERT, values)
        if row is None:
            raise Conflict("name_taken", name=name)
        await _add(tx, row.id, 1, sources, declared, compiled)
        made = await _shown(tx, channel, row.id, None)
        await audit_log.note(tx, "template.create", str(row.id), name, after=_noted(made, listed))
        return made


async def errors_of(
    system: AppContext,
    channel: Channel,
    name: str,
    sources: Sources,
    defaults: dict[str, Any],
    *,
    id: int = 0,
) -> list[UmsError]:
    """All that is wrong with a template that is to be made, or with what `id` is to be."""
    found = all_of([lambda: check_name(name), lambda: check_defaults(defaults)])
    async with system.database.read() as tx:
        found += await all_awaited([_check_free(tx, channel, id, name)])
    return [*found, *await compile_process.errors_of(system, sources)]


async def change(
    system: AppContext,
    channel: Channel,
    id: int,
    wanted: Change,
    *,
    expect: Expect = anything,
    listed: bool = True,
) -> TemplateShown:
    """Change a template; messages that were accepted keep the version they have.

    A new version is made when its sources or defaults change. Raises Invalid, NotFound and what
    `expect` raises.
    """
    async with system.database.read() as tx:
        old = await _shown(tx, channel, id, None)
    expect(old)
    name = old.name if wanted.name is UNSET else wanted.name
    if name != old.name:
        check_name(name)
    sources = _merged(old, wanted)
    given = old.defaults if wanted.defaults is UNSET else wanted.defaults
    defaults = check_defaults(given)
    same = sources == sources_of(old) and defaults == old.defaults
    if same and name == old.name:
        async with system.database.write() as tx:
            await audit_log.note(tx, "template.change", str(id), before={}, after={})
        return old
    compiled = None if same else await compile_sources(system, sources)
    async with system.database.write() as tx:
        await _check_free(tx, channel, id, name)
        version = old.version + (compiled is not None)
        values = {"name": name, "version": version, "updated_at": clock.now()}
        mine = (templates.c.id == id) & (templates.c.version == old.version)
        if (await tx.run(update(templates).where(mine).values(values))).count == 0:
            raise Invalid("template_changed", id=id)
        if compiled is not None:
            await _add(tx, id, version, sources, defaults, compiled)
        new = await _shown(tx, channel, id, None)
        before, after = _noted(old, listed), _noted(new, listed)
        told = f"version {version}"
        await audit_log.note(tx, "template.change", str(id), told, before=before, after=after)
        return new


async def show(
    system: AppContext, channel: Channel, id: int, version: int | None = None
) -> TemplateShown:
    """A template with the sources of `version`, else of the newest. Raises NotFound."""
    async with system.database.read() as tx:
        return await _shown(tx, channel, id, version)


async def set_open(system: AppContext, channel: Channel, id: int, *, open: bool) -> TemplateShown:
    """Open or close a template; requests for a closed one fail with 1015073. What was accepted
    goes out. Raises NotFound."""
    mine = (templates.c.id == id) & (templates.c.channel_id == channel.id)
    async with system.database.write() as tx:
        query = select(templates.c.open).where(mine).with_for_update()
        row = await tx.first(query)
        if row is None:
            raise NotFound("template_missing", id=id)
        values = {"open": open, "updated_at": clock.now()}
        await tx.run(update(templates).where(mine).values(values))
        action = "template.open" if open else "template.close"
        before, after = {"open": bool(row.open)}, {"open": open}
        await audit_log.note(tx, action, str(id), before=before, after=after)
        return await _shown(tx, channel, id, None)


async def list_templates(
    tx: Tx,
    channel: Channel,
    *,
    sort: ByName = "created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page:
    """The channel's templates (TemplateInfo) in the order they were made unless `sort` says
    another."""
    query = (
        select(templates, versions.c.subject, versions.c.variables, versions.c.defaults)
        .join(
            versions,
            (versions.c.template_id == templates.c.id)
            & (versions.c.version == templates.c.version),
        )
        .where(templates.c.channel_id == channel.id, templates.c.listed)
    )
    rows = await tx.rows(_ORDER.sort(query, sort, after).limit(page_size(limit) + 1))
    return cut(
        rows, limit, lambda row: TemplateInfo(**_info(channel, row, row)), _ORDER.place(sort)
    )


async def list_versions(
    tx: Tx, channel: Channel, id: int, *, after: str | None = None, limit: int = 50
) -> Page[VersionInfo]:
    """The template's versions, the newest first. Raises NotFound."""
    await _shown(tx, channel, id, None)
    query = select(versions).where(versions.c.template_id == id)
    if after is not None:
        query = query.where(versions.c.version < number(after, "after"))
    rows = await tx.rows(query.order_by(versions.c.version.desc()).limit(page_size(limit) + 1))
    return cut(rows, limit, _version_info, lambda row: row.version)


def _version_info(row: Any) -> VersionInfo:
    return VersionInfo(row.version, row.subject, clock.iso(row.created_at))


_NOTED = ("version", "name", "subject", "html", "text", "mjml", "defaults")


def _noted(shown: TemplateShown, listed: bool) -> dict[str, object]:
    """What the audit log compares; each version is kept whole beside it. One that is not `listed`
    is a message's own text, which must not outlive the message there."""
    fields = _NOTED if listed else ("version",)
    return {field: getattr(shown, field) for field in fields}


def sources_of(shown: TemplateShown) -> Sources:
    return Sources(shown.subject, shown.html, shown.text, shown.mjml)


def check_name(name: str) -> None:
    """Raises Invalid unless `name` is 1-60 printable characters without blanks around them."""
    names.check_name(name, 60)


def _merged(old: TemplateShown, wanted: Change) -> Sources:
    def pick(new: Any, before: Any) -> Any:
        return before if new is UNSET else new

    html, mjml = pick(wanted.html, old.html), pick(wanted.mjml, old.mjml)
    if isinstance(wanted.html, str) and wanted.mjml is UNSET:
        mjml = None
    if isinstance(wanted.mjml, str) and wanted.html is UNSET:
        html = None
    merged = Sources(pick(wanted.subject, old.subject), html, pick(wanted.text, old.text), mjml)
    check_sources(merged)
    return merged


async def _check_free(tx: Tx, channel: Channel, id: int, name: str) -> None:
    same = (templates.c.channel_id == channel.id) & (templates.c.name == name)
    if await tx.first(select(templates.c.id).where(same & (templates.c.id != id))):
        raise Conflict("name_taken", name=name)


async def _add(
    tx: Tx, id: int, version: int, sources: Sources, defaults: dict[str, Any], compiled: Compiled
) -> None:
    row = {
        "template_id": id,
        "version": version,
        "subject": sources.subject,
        "html": sources.html,
        "text": sources.text,
        "mjml": sources.mjml,
        "defaults": to_json(defaults),
        "variables": to_json(Variables(compiled.names, compiled.required)),
        "compiled": to_json(compiled),
        "created_at": clock.now(),
    }
    await tx.run(insert(versions), row)


async def _shown(tx: Tx, channel: Channel, id: int, version: int | None) -> TemplateShown:
    mine = (templates.c.id == id) & (templates.c.channel_id == channel.id)
    row = await tx.first(select(templates).where(mine))
    number = row.version if row is not None and version is None else version
    if row is None or number is None or not 1 <= number <= row.version:
        raise NotFound("template_missing", id=id)
    wanted = (versions.c.template_id == id) & (versions.c.version == number)
    shown = await tx.first(select(versions).where(wanted))
    if shown is None:
        raise NotFound("template_missing", id=id)
    about = _info(channel, row, shown)
    about["version"] = number
    return TemplateShown(
        **about,
        newest=row.version,
        html=shown.html,
        text=shown.text,
        mjml=shown.mjml,
        defaults=msgspec.json.decode(shown.defaults),
    )


def _info(channel: Channel, row: Any, version: Any) -> dict[str, Any]:
    known = msgspec.json.decode(version.variables, type=Variables)
    defaults: dict[str, Any] = msgspec.json.decode(version.defaults)
    required = [".".join(path) for path in known.required if path[0] not in defaults]
    return {
        "id": row.id,
        "name": row.name,
        "channelkey": channel.key,
        "open": bool(row.open),
        "version": row.version,
        "subject": version.subject,
        "variables": known.names,
        "required": [name for name in required if name not in ALWAYS],
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
    }
