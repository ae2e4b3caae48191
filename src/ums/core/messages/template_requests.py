"""The bodies of /v1/template/sent and /v1/template/broadcast (ums-spec 3.3)."""

import re
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from ums.core.content.message_content import Content
from ums.core.messages.requests import Asking, SendRequest, check_audience, decode, decoder_of, make
from ums.core.templates.variables import check_para
from ums.errors import Invalid, Refused


class _Body(Asking):
    msg_email: Raw | UnsetType = UNSET
    template_id: int | str | None = None
    template_para: dict[str, Any] | None = None
    app_para: Raw | UnsetType = UNSET  # for the App part of a template; none has one


_decoder = decoder_of(_Body)


class TemplateRequest(Struct, frozen=True):
    """A request that passed every check which needs no database; its content is not chosen yet."""

    request: SendRequest
    template_id: int
    para: dict[str, Any]


def parse(body: bytes, *, broadcast: bool) -> TemplateRequest:
    """Read and check a request. Raises Invalid or Refused with the documented code."""
    given = decode(body, _decoder)
    _check_no_content(given)
    audience, instance = check_audience(given, broadcast=broadcast)
    return TemplateRequest(
        request=make(given, audience, instance, Content("")),
        template_id=_template_id(given.template_id),
        para=check_para(given.template_para or {}, "template_para"),
    )


def _check_no_content(given: Any) -> None:
    for field in given.__struct_fields__:
        value = getattr(given, field)
        if field.startswith("msg_") and value is not UNSET and bytes(value) != b"null":
            raise Refused("template_content", field=field)


def _template_id(given: int | str | None) -> int:
    if given is None:
        raise Invalid("missing", field="template_id")
    if not re.fullmatch(r"[0-9]{1,18}", str(given)):
        raise Refused("template_unknown", id=str(given)[:40])
    return int(given)
