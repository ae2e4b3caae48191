"""What a caller may ask for: the bodies of /v1/sent and /v1/broadcast (ums-spec 3.3 to 3.7)."""

import re
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ums.bounds import as_integers
from ums.core.common.identifiers import is_tag, is_userid
from ums.core.content.attachment_fetcher import MAX_FILES
from ums.core.content.attachments import FileRequest
from ums.core.content.message_content import Content
from ums.core.users.audience import Audience
from ums.errors import CODES, Detail, Invalid, Refused
from ums.mail.addresses import BadAddress, clean
from ums.mail.mime.builder import BadContent, check_subject
from ums.parser_words import retell

MAX_USERIDS = 1000
MAX_TAGS = 20
MAX_ADDRESSES = 1000
MAX_PARAMS = 4096

_OTHER_TYPES = (
    "app",
    "wechatoa",
    "wechatmp",
    "sms",
    "alipay_life",
    "dingtalk_cc",
    "wechatwk",
    "wechatwk_linkedcorp",
)


class Target(Struct):
    """One element of `aud_email`."""

    data: list[str]
    instance: str | None = None


class EmailBody(Struct):
    """The element of `msg_email`."""

    subject: str
    text: str
    files: list[str] | None = None


class Option(Struct):
    sendno: str | int | None = None
    owner: str | None = None
    black_id: int | None = None
    white_id: int | None = None
    priority: int | None = None


class Callback(Struct):
    url: str | None = None
    params: dict[str, Any] | None = None


class Asking(Struct):
    """What every request to send may hold besides its content."""

    aud_tag: list[str] | None = None
    aud_userid: list[str | int] | None = None
    aud_segment: list[str | int] | None = None
    aud_email: list[Target] | None = None
    rule_id: int | None = None
    option: Option | None = None
    callback: Callback | None = None


class _Common(Asking):
    msg_email: list[EmailBody] | None = None


def decoder_of(base: type[Asking]) -> msgspec.json.Decoder[Any]:
    """A decoder of `base` with the keys of sender types that are not served here, so that they
    are refused and not passed over."""
    keys = [f"{half}_{kind}" for half in ("aud", "msg") for kind in _OTHER_TYPES]
    more = [(key, Raw | UnsetType, UNSET) for key in keys]
    return msgspec.json.Decoder(msgspec.defstruct(base.__name__, more, bases=(base,)))


_decoder = decoder_of(_Common)


class SendRequest(Struct, frozen=True):
    """A request that passed every check which needs no database."""

    audience: Audience
    broadcast: bool
    instance: str
    content: Content
    files: list[FileRequest]
    priority: int
    sendno: str | None
    option: Option
    callback: Callback
    rule_id: int = 0  # of a strategy; 0 for none
    template_id: int | None = None
    template_version: int | None = None
    # What /v1 has no words for (core.messages.scheduling). Times are ms.
    starts_at: int = 0  # not sent before; 0: at once
    deliver_by: int | None = None  # the end of its lifetime, if not the usual
    on_unknown: Literal["hold", "resend"] | None = None  # if not the usual


def parse(body: bytes, *, broadcast: bool) -> SendRequest:
    """Read and check a request. Raises Invalid or Refused with the documented code."""
    given = decode(body)
    audience, instance = check_audience(given, broadcast=broadcast)
    content = _content(given)
    request = make(given, audience, instance, Content(content.subject, content.text))
    files = [FileRequest(f"msg_email[0].files[{i}]", url) for i, url in enumerate(_files(content))]
    return msgspec.structs.replace(request, files=files)


def check_audience(given: Any, *, broadcast: bool) -> tuple[Audience, str]:
    """The audience of a decoded request, and the `instance` it names."""
    _check_types(given)
    return _audience(given, broadcast=broadcast)


def make(given: Any, audience: Audience, instance: str, content: Content) -> SendRequest:
    """The request with its options, which are checked."""
    option = given.option or Option()
    callback = given.callback or Callback()
    _check_option(option, callback)
    return SendRequest(
        audience=audience,
        broadcast=audience.everyone,
        instance=instance,
        content=content,
        files=[],
        priority=audience.priority(option.priority),
        sendno=None if option.sendno is None else str(option.sendno),
        option=option,
        callback=callback,
        rule_id=given.rule_id or 0,
    )


def decode(body: bytes, decoder: msgspec.json.Decoder[Any] = _decoder) -> Any:
    try:
        return _decode(body, decoder)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("bad_json", detail=retell(str(error))) from None
    except RecursionError:
        raise Invalid("bad_json", detail=Detail("deeply_nested")) from None


def _decode(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
        return decoder.decode(as_integers(body))


def _misfit(text: str) -> Invalid:
    """msgspec's "Expected `str`, got `int` - at `$.a.b`" in our words."""
    what, _, where = text.partition(" - at `$.")
    field = where.rstrip("`") or "body"
    missing = re.fullmatch(r"Object missing required field `(\w+)`", what)
    if missing:
        return Invalid("missing", field=f"{field}.{missing[1]}" if where else missing[1])
    return Invalid("misfit", field=field, detail=retell(what))


def _check_types(given: Any) -> None:
    for half in ("aud", "msg"):
        for kind in _OTHER_TYPES:
            name = f"{half}_{kind}"
            value = getattr(given, name)
            if value is not UNSET and bytes(value) != b"null":
                raise _not_served(kind, name)


def _not_served(kind: str, field: str) -> Invalid | Refused:
    """No channel has a sender of this type: the hosted UMS has a code for it (ums-spec 3.2)."""
    reason = f"no_sender_{kind}"
    return Refused(reason, field=field) if reason in CODES else Invalid("sender_type", field=field)


def _audience(given: Any, *, broadcast: bool) -> tuple[Audience, str]:
    named = ("aud_tag", "aud_userid", "aud_segment", "aud_email")
    present = [name for name in named if getattr(given, name) is not None]
    if broadcast:
        if present:
            raise Invalid("audience_on_broadcast", field=present[0])
        return Audience(), ""
    if not present:
        raise Invalid("audience_missing")
    if "aud_email" in present:
        if len(present) > 1:
            raise Invalid("audience_mixed")
        return _direct(given.aud_email)
    return _users(given), ""


def _direct(targets: list[Target]) -> tuple[Audience, str]:
    if not targets:
        raise Invalid("too_many", field="aud_email", limit=MAX_ADDRESSES)
    total = sum(len(target.data) for target in targets)
    if not 1 <= total <= MAX_ADDRESSES or not all(target.data for target in targets):
        raise Invalid("too_many", field="aud_email.data", limit=MAX_ADDRESSES)
    addresses = [
        _address(text, f"aud_email[{i}].data[{j}]")
        for i, target in enumerate(targets)
        for j, text in enumerate(target.data)
    ]
    instance = next((target.instance for target in targets if target.instance), "")
    return Audience(addresses=addresses), instance


def _address(text: str, field: str) -> str:
    try:
        return clean(text)
    except BadAddress as error:
        raise Invalid("bad_address", field=field, detail=error.detail) from None


def _users(given: Any) -> Audience:
    userids = list(dict.fromkeys(str(id) for id in given.aud_userid or []))
    if len(userids) > MAX_USERIDS:
        raise Refused("too_many_userids")
    tags = given.aud_tag or []
    if len(tags) > MAX_TAGS:
        raise Invalid("too_many", field="aud_tag", limit=MAX_TAGS)
    for i, userid in enumerate(userids):
        if not is_userid(userid):
            raise Invalid("bad_userid", field=f"aud_userid[{i}]")
    for i, tag in enumerate(tags):
        if not is_tag(tag):
            raise Invalid("bad_tag", field=f"aud_tag[{i}]")
    audience = Audience(tags=tags, userids=userids, segment=_segment(given.aud_segment or []))
    if audience.everyone:
        # An empty list must never become "everyone".
        raise Invalid("audience_missing")
    return audience


def _segment(given: list[str | int]) -> int | None:
    if len(given) > 1:
        raise Invalid("one_value", field="aud_segment")
    if not given:
        return None
    text = str(given[0])
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Invalid("segment_unknown", id=text[:40])
    return int(text)


def _content(given: Any) -> EmailBody:
    if given.msg_email is None:
        if given.aud_email is not None:
            raise Invalid("unpaired", audience="aud_email", content="msg_email")
        raise Invalid("content_missing")
    if len(given.msg_email) != 1:
        raise Invalid("one_content")
    content: EmailBody = given.msg_email[0]
    try:
        check_subject(content.subject)
    except BadContent as error:
        raise Invalid("bad_subject", detail=error.detail) from None
    if not content.text.strip():
        raise Invalid("bad_text", detail=Detail("empty"))
    if "\x00" in content.text:
        raise Invalid("bad_text", detail=Detail("null_byte"))
    return content


def _files(content: EmailBody) -> list[str]:
    files = content.files or []
    if len(files) > MAX_FILES:
        raise Invalid("too_many", field="msg_email[0].files", limit=MAX_FILES)
    return files


def _check_option(option: Option, callback: Callback) -> None:
    if option.priority not in (None, 1, 2, 3):
        raise Invalid("priority")
    if option.black_id and option.white_id:
        raise Refused("lists_conflict")
    if callback.params and len(msgspec.json.encode(callback.params)) > MAX_PARAMS:
        raise Invalid("params_too_large")
    for name in ("sendno", "owner"):
        value = getattr(option, name)
        text = "" if value is None else str(value)
        if len(text) > 255 or "\x00" in text:
            raise Invalid("bad_value", field=f"option.{name}")
