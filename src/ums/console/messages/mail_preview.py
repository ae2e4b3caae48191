"""The mail of a message, shown as it goes out: for its page, and for who approves it."""

import asyncio
from typing import Any

from litestar import MediaType, Response, get
from litestar.params import FromPath
from msgspec import Struct

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, refused
from ums.console.rendering import AnyRequest
from ums.console.sandbox.mail_csp import HTML_HEADERS
from ums.console.sandbox.mail_viewer import MailView, view
from ums.core.messages import rendered_sample
from ums.core.messages.rendered_sample import Sample
from ums.errors import Invalid, NotFound


class MessageContent(Struct):
    """What a page shows of a message's mail."""

    sample: Sample
    mail: MailView
    form: Form  # for whom it is shown
    text: bool  # the text is asked for, not the HTML


async def content_of(
    request: AnyRequest, system: Any, visitor: Any, msgid: str, *, count: bool = True
) -> MessageContent:
    """The mail for the user that the address of the page names, else for one of the audience."""
    userid = request.query_params.get("as", "").strip()
    seen, form = visitor.caller.channels, Form({"as": userid})
    try:
        found = await rendered_sample.sample(system, msgid, seen, userid=userid, count=count)
    except Invalid as error:
        if isinstance(error, NotFound):
            raise
        form = refused(request, {"as": userid}, error, {"userid": "as"})
        found = await rendered_sample.sample(system, msgid, seen, count=count)
    mail = await asyncio.to_thread(view, found.source)
    wants_text = request.query_params.get("view") == "text"
    return MessageContent(found, mail, form, text=wants_text or mail.html is None)


@get("/messages/{msgid:str}/mail", scope="messages:read", channels="own")
async def mail_html(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Response[str]:
    """The HTML of the mail, for a frame of the page."""
    found = await content_of(request, system, visitor, msgid, count=False)
    return Response(found.mail.html or "", media_type=MediaType.HTML, headers=HTML_HEADERS)


handlers = [mail_html]
