"""Looking at a template before it is sent: rendered for a real user, or as one mail."""

import secrets
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import select

from ums.core.common.field_errors import ErrorList
from ums.core.content.message_content import Content
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages.intake import Accepted, Intake
from ums.core.messages.requests import Callback, Option, SendRequest
from ums.core.messages.template_content import refusal
from ums.core.tables import templates
from ums.core.templates.cache import Person, TemplateCache, Version
from ums.core.templates.recipient_data import address_of, attributes_of
from ums.core.templates.values import RenderError
from ums.core.templates.variables import check_para
from ums.core.users.audience import Audience
from ums.errors import Invalid, NotFound, UmsError
from ums.mail.addresses import BadAddress, clean
from ums.mail.mime.builder import BadContent, check_subject

_ANY_ADDRESS: Final = "somebody@example.org"


class Rendered(Struct, frozen=True):
    """What a recipient would get. A missing variable is shown as its name in brackets."""

    id: int
    version: int
    subject: str | None  # the three are None where they cannot be rendered
    html: str | None
    text: str | None
    missing: list[str]
    problem: str  # why they cannot be; empty where they are


async def preview(
    system: AppContext,
    channel: Channel,
    id: int,
    *,
    version: int | None = None,
    userid: str | None = None,
    para: dict[str, Any] | None = None,
    language: str = "en",
) -> Rendered:
    """Render the channel's template for the user `userid`, or for nobody, and `para`; what keeps
    it from that is told in `language`.

    Raises Invalid for values that cannot be and for an unknown user, NotFound for a template that
    is not there.
    """
    found = await _version(system, channel, id, version)
    given = check_para(para or {}, "para")
    person = await _person(system, channel, userid)
    missing = found.lacking(given, person.attributes)
    try:
        content, problem = _rendered(found, person, given, named=True), ""
    except RenderError as error:
        content, problem = None, refusal(error).words(language)
    except BadContent as error:
        content, problem = None, error.detail.words(language)
    return Rendered(
        id=id,
        version=found.number,
        subject=content.subject if content else None,
        html=(content.html or None) if content else None,
        text=(content.text or None) if content else None,
        missing=missing,
        problem=problem,
    )


async def send_test(
    system: AppContext,
    intake: Intake,
    channel: Channel,
    id: int,
    to: str,
    *,
    version: int | None = None,
    userid: str | None = None,
    para: dict[str, Any] | None = None,
    origin: str = "cli",
) -> Accepted:
    """Send one mail to the address `to`: the template as the user `userid` would get it.

    It goes the way of every message. A closed template may be tested. Raises Invalid, NotFound.
    """
    address = _test_address(to)
    content = await _test_content(system, channel, id, address, version, userid, para)
    request = SendRequest(
        audience=Audience(addresses=[address]),
        broadcast=False,
        instance="",
        content=content,
        files=[],
        priority=1,
        sendno=None,
        option=Option(),
        callback=Callback(),
    )
    return await intake.accept(channel, request, secrets.token_bytes(8), origin=origin)


async def errors_of_test(
    system: AppContext, channel: Channel, id: int, to: str, userid: str | None
) -> list[UmsError]:
    """All that keeps `send_test` from sending: the address, and the template for the user."""
    found = ErrorList()
    with found.collecting():
        _test_address(to)
    with found.collecting():
        await _test_content(system, channel, id, _ANY_ADDRESS, None, userid, None)
    return found


def _test_address(to: str) -> str:
    try:
        return clean(to)
    except BadAddress as error:
        raise Invalid("bad_address", field="to", detail=error.detail) from None


async def _test_content(
    system: AppContext,
    channel: Channel,
    id: int,
    address: str,
    version: int | None,
    userid: str | None,
    para: dict[str, Any] | None,
) -> Content:
    found = await _version(system, channel, id, version)
    given = check_para(para or {}, "para")
    person = await _person(system, channel, userid)
    try:
        return _rendered(found, Person(address, person.userid, person.attributes), given)
    except RenderError as error:
        raise refusal(error) from None
    except BadContent as error:
        raise Invalid("bad_subject", detail=error.detail) from None


def _rendered(
    version: Version, person: Person, para: dict[str, Any], *, named: bool = False
) -> Content:
    values = version.values(person, para, named=named)
    subject = version.subject.text(values)
    check_subject(subject)
    html = version.html.text(values) if version.html else ""
    text = version.text.text(values) if version.text else ""
    return Content(subject, text, html, plain=True)


async def _version(system: AppContext, channel: Channel, id: int, number: int | None) -> Version:
    mine = (templates.c.id == id) & (templates.c.channel_id == channel.id)
    async with system.database.read() as tx:
        newest = await tx.value(select(templates.c.version).where(mine))
    found = None
    if newest is not None and 1 <= (number or newest) <= newest:
        found = await system.shared(TemplateCache).version(id, number or newest)
    if found is None:
        raise NotFound("template_missing", id=id)
    return found


async def _person(system: AppContext, channel: Channel, userid: str | None) -> Person:
    if userid is None:
        return Person("")
    async with system.database.read() as tx:
        found = await attributes_of(tx, [userid])
        if userid not in found:
            raise Invalid("user_unknown")
        return Person(await address_of(tx, channel, userid), userid, found[userid])
