"""From what is asked for in full to a request that can be accepted.

A mail with copies is one mail: all who get it see the same To and Cc, and a template is filled
with the values of the one it is written to. Each copy is a delivery of its own all the same.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from ums.core.common.field_errors import Check, ErrorList, all_of
from ums.core.common.identifiers import is_tag, is_userid
from ums.core.common.timestamps import milliseconds
from ums.core.content.attachments import FileRequest
from ums.core.content.message_content import Content
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages import template_content
from ums.core.messages.new_message import (
    MAX_OWN,
    Among,
    Attachment,
    MessageRequest,
    Recipient,
    Told,
)
from ums.core.messages.requests import MAX_PARAMS, Callback, Option, SendRequest
from ums.core.templates.recipient_data import address_of
from ums.core.templates.variables import check_para
from ums.core.users.audience import Audience
from ums.errors import Detail, Invalid, Refused, UmsError
from ums.mail.addresses import BadAddress, clean
from ums.mail.custom_headers import CustomHeaders, Header, check_headers
from ums.mail.mime.builder import BadContent, check_cid, check_subject


def fingerprint(asked: MessageRequest) -> bytes:
    """By which two requests with one Idempotency-Key are told apart."""
    return b"outgoing\n" + msgspec.json.encode(asked)


async def request_of(system: AppContext, channel: Channel, asked: MessageRequest) -> SendRequest:
    """The request, with its template's newest version. Raises Invalid, Refused."""
    if asked.block_list and asked.allow_list:
        raise Refused("lists_conflict")
    await _check_sender(system, channel, asked.sender)
    audience = _audience(asked)
    request = _request(asked, audience)
    if asked.template is not None:
        request = await _from_template(system, channel, asked, request)
    return await _with_extras(system, channel, asked, request)


async def errors_of(system: AppContext, channel: Channel, asked: MessageRequest) -> list[UmsError]:
    """All that is wrong with what a form asks for; `request_of` raises the first of it."""
    errors, audience = ErrorList(), Audience()
    with errors.collecting():
        audience = _audience(asked)
    errors += all_of(_checks(asked))
    if asked.template is not None:
        with errors.collecting():
            para = check_para(asked.variables, "variables")
            await template_content.choose(system, channel, asked.template, para, audience)
    return errors


def _checks(asked: MessageRequest) -> Iterator[Check]:
    if asked.template is None:
        yield lambda: _subject(asked)
        yield lambda: _parts(asked)
    yield lambda: _files(asked)
    for i, text in enumerate(asked.reply_to):
        yield partial(_address, text, f"reply_to[{i}]")


def _request(asked: MessageRequest, audience: Audience) -> SendRequest:
    return SendRequest(
        audience=audience,
        broadcast=audience.everyone,
        instance=asked.sender or "",
        content=_content(asked),
        files=_files(asked),
        priority=audience.priority(asked.priority),
        sendno=_plain(asked.sendno, "sendno"),
        option=Option(
            owner=_plain(asked.owner, "owner"),
            black_id=asked.block_list,
            white_id=asked.allow_list,
        ),
        callback=_callback(asked.callback or Told()),
        rule_id=asked.strategy or 0,
        starts_at=_moment(asked.starts_at, "starts_at") or 0,
        deliver_by=_moment(asked.deliver_by, "deliver_by"),
        on_unknown=asked.on_unknown,
    )


async def _check_sender(system: AppContext, channel: Channel, code: str | None) -> None:
    """One that is named is used, or the message is refused: `/v1` would take another."""
    if code is None:
        return
    found = (await system.directory.now()).sender_for(channel, code)
    if found is None or found.code != code:
        raise Invalid("sender_not_authorised", field="sender", code=code[:60])


# -- who --------------------------------------------------------------------------------------


def _audience(asked: MessageRequest) -> Audience:
    if asked.audience is not None:
        if asked.recipients:
            raise Invalid("one_of", field="audience", names="recipients, audience")
        return _among(asked.audience)
    if not asked.recipients:
        raise Invalid("nobody", field="recipients")
    return _named(asked.recipients, with_own=asked.template is not None)


def _among(given: Among) -> Audience:
    some = bool(given.tags) or given.segment is not None
    if given.everyone and some:
        raise Invalid("everyone_alone", field="audience")
    if not given.everyone and not some:  # nothing at all must never become everyone
        raise Invalid("nobody", field="audience")
    for i, tag in enumerate(given.tags):
        if not is_tag(tag):
            raise Invalid("bad_tag", field=f"audience.tags[{i}]")
    return Audience(tags=given.tags, segment=given.segment)


def _named(recipients: Sequence[Recipient], *, with_own: bool) -> Audience:
    addresses: list[tuple[str, Raw]] = []
    userids: list[tuple[str, Raw]] = []
    for i, one in enumerate(recipients):
        field = f"recipients[{i}]"
        own = _own(one.variables, f"{field}.variables", allowed=with_own)
        if (one.userid is None) == (one.address is None):
            raise Invalid("one_of", field=field, names="userid, address")
        if one.address is not None:
            addresses.append((_address(one.address, f"{field}.address"), own))
        elif one.userid is not None:
            userids.append((_userid(one.userid, f"{field}.userid"), own))
    variables = [own for _, own in (*addresses, *userids)]
    if sum(len(bytes(own)) for own in variables) > MAX_OWN:
        raise Invalid("para_large", field="recipients", limit=MAX_OWN)
    return Audience(
        addresses=[address for address, _ in addresses],
        userids=[userid for userid, _ in userids],
        variables=variables if any(bytes(own) != b"null" for own in variables) else [],
    )


def _own(variables: dict[str, Any], field: str, *, allowed: bool) -> Raw:
    if not variables:
        return Raw(b"null")
    if not allowed:
        raise Invalid("variables_alone", field=field)
    return Raw(msgspec.json.encode(check_para(variables, field)))


def _userid(text: str, field: str) -> str:
    if not is_userid(text):
        raise Invalid("bad_userid", field=field)
    return text


def _address(text: str, field: str) -> str:
    try:
        return clean(text)
    except BadAddress as error:
        raise Invalid("bad_address", field=field, detail=error.detail) from None


# -- what -------------------------------------------------------------------------------------


def _content(asked: MessageRequest) -> Content:
    if asked.template is not None:
        given = [name for name in ("subject", "html", "text") if getattr(asked, name) is not None]
        if given:
            raise Invalid("one_of", field=given[0], names=f"template, {given[0]}")
        return Content("")
    if asked.variables:
        raise Invalid("variables_alone", field="variables")
    subject = _subject(asked)
    text, html = _parts(asked)
    return Content(subject, text, html, plain=True)


def _subject(asked: MessageRequest) -> str:
    subject = asked.subject
    if subject is None:
        raise Invalid("missing", field="subject")
    _checked("subject", lambda: check_subject(subject))
    return subject


def _parts(asked: MessageRequest) -> tuple[str, str]:
    """The text and the HTML."""
    text, html = _said(asked.text, "text"), _said(asked.html, "html")
    if not (text or html):
        raise Invalid("one_of", field="html", names="html, text, template")
    return text, html


def _said(text: str | None, field: str) -> str:
    if text is not None and not text.strip():
        raise Invalid("misfit", field=field, detail=Detail("empty"))
    return text or ""


async def _from_template(
    system: AppContext, channel: Channel, asked: MessageRequest, request: SendRequest
) -> SendRequest:
    para = check_para(asked.variables, "variables")
    if asked.cc or asked.bcc:  # what is the addressee's own is every copy's
        para |= asked.recipients[0].variables if len(asked.recipients) == 1 else {}
        request = replace(request, audience=replace(request.audience, variables=[]))
    chosen = await template_content.choose(
        system, channel, asked.template or 0, para, request.audience
    )
    version = chosen.version
    _check_shown(asked.attachments, html=version.html is not None)
    return replace(
        request,
        content=chosen.content,
        template_id=version.template_id,
        template_version=version.number,
    )


def _files(asked: MessageRequest) -> list[FileRequest]:
    found = [_file(file, f"attachments[{i}]") for i, file in enumerate(asked.attachments)]
    if asked.template is None:
        _check_shown(asked.attachments, html=asked.html is not None)
    return found


def _file(given: Attachment, field: str) -> FileRequest:
    if (given.url is None) == (given.content is None):
        raise Invalid("one_of", field=field, names="url, content")
    if given.content is not None and not given.name:
        raise Invalid("missing", field=f"{field}.name")
    cid = given.cid
    if cid is not None:
        _checked(f"{field}.cid", lambda: check_cid(cid))
    return FileRequest(
        field=field,
        url=given.url or "",
        data=given.content,
        name=given.name or "",
        content_type=given.content_type or "",
        cid=cid or "",
    )


def _check_shown(files: Sequence[Attachment], *, html: bool) -> None:
    cids = [file.cid for file in files if file.cid is not None]
    if cids and not html:
        raise Invalid("misfit", field="attachments", detail=Detail("cid_no_html"))
    if len(set(cids)) < len(cids):
        raise Invalid("misfit", field="attachments", detail=Detail("cid_own"))


# -- what stands in the mail's header ------------------------------------------------------------


async def _with_extras(
    system: AppContext, channel: Channel, asked: MessageRequest, request: SendRequest
) -> SendRequest:
    reply_to = tuple(_addresses(asked.reply_to, "reply_to"))
    headers = tuple(Header(name, value) for name, value in asked.headers.items())
    _checked("headers", lambda: check_headers(headers))
    extras = CustomHeaders(reply_to=reply_to, headers=headers)
    if asked.cc or asked.bcc:
        return await _with_copies(system, channel, asked, request, extras)
    if reply_to or headers:
        return replace(request, content=replace(request.content, extras=extras))
    return request


async def _with_copies(
    system: AppContext,
    channel: Channel,
    asked: MessageRequest,
    request: SendRequest,
    extras: CustomHeaders,
) -> SendRequest:
    if len(asked.recipients) != 1:
        raise Invalid("one_recipient", field="cc" if asked.cc else "bcc")
    cc, bcc = _addresses(asked.cc, "cc"), _addresses(asked.bcc, "bcc")
    userid = "".join(request.audience.userids)
    to = "".join(request.audience.addresses)
    if userid:
        async with system.database.read() as tx:
            to = await address_of(tx, channel, userid)
    if not to:
        raise Invalid("addressee_unreachable", field="recipients[0]")
    copies = [one for one in dict.fromkeys((*cc, *bcc)) if one != to]
    audience = replace(request.audience, addresses=copies if userid else [to, *copies])
    extras = replace(extras, to=to, cc=tuple(dict.fromkeys(cc)))
    content = replace(request.content, extras=extras, userid=userid)
    return replace(request, audience=audience, content=content)


def _addresses(given: Sequence[str], field: str) -> list[str]:
    return [_address(text, f"{field}[{i}]") for i, text in enumerate(given)]


# -- the rest ---------------------------------------------------------------------------------


def _callback(given: Told) -> Callback:
    if given.params:
        check_para(given.params, "callback.params")
        if len(msgspec.json.encode(given.params)) > MAX_PARAMS:
            raise Invalid("params_too_large")
    return Callback(given.url, given.params)


def _plain(text: str | None, field: str) -> str | None:
    if text is not None and "\x00" in text:
        raise Invalid("bad_value", field=field)
    return text


def _moment(moment: datetime | None, field: str) -> int | None:
    return None if moment is None else milliseconds(moment, field)


def _checked(field: str, check: Callable[[], None]) -> None:
    try:
        check()
    except BadContent as error:
        raise Invalid("misfit", field=field, detail=error.detail) from None
