"""What is typed on the page of a message is kept: as it is typed, when another channel is chosen,
and when the page is asked for in the other language."""

from typing import Any

from litestar import Response, post

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, whole
from ums.console.messages import recipients
from ums.console.messages.attachments import attached
from ums.console.messages.compose import form_page
from ums.console.messages.submission import EMPTY, typed
from ums.console.rendering import AnyRequest, go
from ums.core.context.directory import Channel
from ums.core.messages import drafts
from ums.core.messages.drafts import Draft
from ums.errors import NotFound


@post("/send/form", scope="messages:send", channels="own", body="upload", status_code=200)
async def write_for(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The same form with what belongs to the channel that is chosen in it."""
    channel, fields = await _read(request, system, visitor)
    draft = await _draft(request, system, visitor)
    return await form_page(request, system, visitor, channel, Form(fields), draft)


@post("/send/save", scope="messages:send", channels="own", body="upload", status_code=200)
async def save(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Keep what is typed by now; the answer is the draft's id."""
    channel, fields = await _read(request, system, visitor)
    id = await _save(request, system, visitor, channel, fields)
    return Response(str(id), media_type="text/plain")


@post("/send/language", scope="messages:send", channels="own", body="upload")
async def in_language(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The same form in another language."""
    channel, fields = await _read(request, system, visitor)
    id = await _save(request, system, visitor, channel, fields)
    language = (await given(request)).get("lang", "")
    return go(f"/send/{id}?lang={'zh' if language == 'zh' else 'en'}")


async def _read(request: AnyRequest, system: Any, visitor: Any) -> tuple[Channel, dict[str, Any]]:
    """The channel that is chosen, and the form; a start is then on its clock."""
    fields: dict[str, Any] = {**EMPTY, **await typed(request)}
    channel = visitor.caller.channel(fields["channel"])
    fields["kept"] = await attached(request, system, channel, fields["kept"])
    await recipients.hold(request, system, visitor.signed_in.operator_id, fields)
    fields["zone"] = channel.rules.zone
    return channel, fields


async def _draft(request: AnyRequest, system: Any, visitor: Any) -> Draft | None:
    id = whole((await given(request)).get("draft", ""))
    return None if id is None else await drafts.find(system, visitor.caller, id)


async def _save(
    request: AnyRequest, system: Any, visitor: Any, channel: Channel, fields: dict[str, Any]
) -> int:
    draft = await _draft(request, system, visitor)
    if draft is not None and draft.msgid is not None:
        raise NotFound("draft_gone")
    operator = visitor.signed_in.operator_id
    return await drafts.save_form(
        system, operator, channel.id, fields, None if draft is None else draft.id
    )


handlers = [write_for, save, in_language]
