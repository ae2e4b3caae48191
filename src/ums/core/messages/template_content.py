"""Choosing the template of a message, and refusing what cannot become a mail of it."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select

from ums.core.content.message_content import Content
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages.requests import SendRequest
from ums.core.messages.template_requests import TemplateRequest
from ums.core.tables import templates
from ums.core.templates.cache import Person, TemplateCache, Version
from ums.core.templates.recipient_data import attributes_of
from ums.core.templates.values import RenderError
from ums.core.users.audience import Audience
from ums.errors import Broken, Invalid, Refused
from ums.mail.mime.builder import BadContent, check_subject

_object = msgspec.json.Decoder(dict[str, Any] | None)


class Chosen(Struct, frozen=True):
    """The newest version of a template, and what a message of it stores."""

    version: Version
    content: Content


async def request_of(system: AppContext, channel: Channel, asked: TemplateRequest) -> SendRequest:
    """The request with the template's newest version and its values. Raises Refused, Invalid."""
    chosen = await choose(system, channel, asked.template_id, asked.para, asked.request.audience)
    return msgspec.structs.replace(
        asked.request,
        content=chosen.content,
        template_id=chosen.version.template_id,
        template_version=chosen.version.number,
    )


async def choose(
    system: AppContext, channel: Channel, template_id: int, para: dict[str, Any], audience: Audience
) -> Chosen:
    """The newest version of the channel's template, checked against `para` and `audience`.

    What can be known now is refused now: a variable that is nowhere, values that the template
    cannot be rendered with. `para` has passed `check_para`.
    """
    version = await newest(system, channel, template_id)
    used = {name: para[name] for name in version.names if para.get(name) is not None}
    if audience.variables:
        await _check_each(system, version, used, audience)
    elif audience.direct or version.shared(used):
        _try(version, used, audience)
    elif version.names or version.own_names:
        await _check_people(system, version, used, audience)
    return Chosen(version, Content(version.source_subject, para=used))


async def newest(system: AppContext, channel: Channel, template_id: int) -> Version:
    """The newest version of an open template of the channel. Raises Refused."""
    query = select(templates.c.open, templates.c.version)
    mine = (templates.c.id == template_id) & (templates.c.channel_id == channel.id)
    async with system.database.read() as tx:
        row = await tx.first(query.where(mine))
    if row is None:
        raise Refused("template_unknown", id=template_id)
    if not row.open:
        raise Refused("template_closed", id=template_id)
    version = await system.shared(TemplateCache).version(template_id, row.version)
    if version is None:
        raise Broken("broken")
    return version


async def _check_each(
    system: AppContext, version: Version, para: dict[str, Any], audience: Audience
) -> None:
    """Every recipient has values of his own: look for what they lack, and render the first."""
    given = [_object.decode(own) or {} for own in audience.variables]
    async with system.database.read() as tx:
        found = await attributes_of(tx, audience.userids)
    people = [Person(address) for address in audience.addresses]
    people += [Person("", userid, found.get(userid, {})) for userid in audience.userids]
    lacks, first = _Lacks(), None
    for person, own in zip(people, given, strict=True):
        if person.userid and person.userid not in found:
            continue  # who is not there gets no mail, and the delivery says so
        values = {**para, **{name: value for name, value in own.items() if value is not None}}
        lacks.note(version.lacking(values, person.attributes), person.userid or person.address)
        first = first or (values, person)
    lacks.refuse()
    if first is not None:
        _render(version, *first)


class _Lacks:
    """The variables that recipients lack: of each the first who does, and how many more."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def note(self, names: list[str], who: str) -> None:
        for name in names:
            self._found.setdefault(name, []).append(who)

    def refuse(self) -> None:
        """Raises Invalid if anybody lacks one."""
        if self._found:
            told = (f"{name} ({_some(who)})" for name, who in self._found.items())
            raise Invalid("variable_missing", name=", ".join(told))


def _some(who: list[str]) -> str:
    return who[0] if len(who) == 1 else f"{who[0]} +{len(who) - 1}"


def _try(version: Version, para: dict[str, Any], audience: Audience) -> None:
    """Render it once: where nothing of a user is known, the first mail is like the others."""
    person = Person(audience.addresses[0] if audience.direct else "")
    lacking = version.lacking(para, person.attributes)
    if lacking:
        raise Invalid("variable_missing", name=", ".join(lacking))
    _render(version, para, person)


def _render(version: Version, para: dict[str, Any], person: Person) -> None:
    try:
        values = version.values(person, para)
        check_subject(version.subject.text(values))
        for part in (version.html, version.text):
            if part is not None:
                part.pieces(values)
    except RenderError as error:
        raise refusal(error) from None
    except BadContent as error:
        raise Invalid("bad_subject", detail=error.detail) from None


async def _check_people(
    system: AppContext, version: Version, para: dict[str, Any], audience: Audience
) -> None:
    lacking = version.lacking(para, None)
    if lacking:
        raise Invalid("variable_missing", name=", ".join(lacking))
    if audience.described or not audience.userids:
        return  # who that is shows later; whoever lacks one then is told of by a delivery
    async with system.database.read() as tx:
        found = await attributes_of(tx, audience.userids)
    lacks = _Lacks()
    for userid in audience.userids:
        if userid in found:
            lacks.note(version.lacking(para, found[userid]), userid)
    lacks.refuse()


def refusal(error: RenderError) -> Invalid:
    """What a caller is told of `error`."""
    return Invalid(error.reason, name=error.detail, detail=error.detail)
