"""The sandbox's mailbox: what UMS sent through the sandbox sender, for people to look at."""

import asyncio
from typing import Any, Final
from urllib.parse import quote

from litestar import MediaType, Request, Response, Router, get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath
from litestar.response import ServerSentEvent

from ums.console.current_operator import current
from ums.console.i18n import Words, language_of
from ums.console.live_updates import live
from ums.console.rendering import SAFE_HEADERS, page, problem, render
from ums.console.sandbox.mail_csp import HTML_HEADERS, NOTHING
from ums.console.sandbox.mail_viewer import File, MailView, charset_of, view
from ums.core.deliveries import sandbox_mailbox
from ums.core.deliveries.sandbox_mailbox import Caught
from ums.db import Database
from ums.errors import UmsError

AnyRequest = Request[Any, Any, Any]

PAGE_SIZE: Final = 50
LARGEST_ID: Final = 2**63 - 1
SHOWN_SOURCE: Final = 200_000

FILE_HEADERS: Final = SAFE_HEADERS | {
    "Content-Security-Policy": f"{NOTHING}; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


@get("/", scope="messages:read", channels="own", guests=True)
async def mailbox(request: AnyRequest) -> Response[str]:
    before = _number(request.query_params.get("before"))
    return page(request, "mailbox.html", **_part(await _mails(request, before)), before=before)


@get("/live", scope="messages:read", channels="own", guests=True)
async def live_mailbox(request: AnyRequest) -> ServerSentEvent:
    """The newest mails, as they come."""
    seen, html = -1, ""

    async def look() -> tuple[str, bool]:
        nonlocal seen, html
        mails = await _mails(request)
        newest = mails[0].id if mails else 0
        if newest != seen:
            seen = newest
            html = render(request, "_mails.html", **_part(mails), before=None)
        return html, False

    return live(request, look)


async def _mails(request: AnyRequest, before: int | None = None) -> list[Caught]:
    """A page, and one more where another follows."""
    async with _database(request).read() as tx:
        return await sandbox_mailbox.recent(
            tx, _channels(request), before=before, limit=PAGE_SIZE + 1
        )


def _part(mails: list[Caught]) -> dict[str, Any]:
    return {"mails": mails[:PAGE_SIZE], "more": len(mails) > PAGE_SIZE}


@get("/{mail_id:int}", scope="messages:read", channels="own", guests=True)
async def mail(request: AnyRequest, mail_id: FromPath[int]) -> Response[str]:
    caught, source, seen = await _opened(request, mail_id)
    shown = _shown_view(request.query_params.get("view"), seen)
    return page(
        request,
        "mail.html",
        caught=caught,
        mail=seen,
        shown=shown,
        source=source[:SHOWN_SOURCE].decode(charset_of(source), "replace")
        if shown == "source"
        else "",
        cut=len(source) > SHOWN_SOURCE,
    )


@get("/{mail_id:int}/html", scope="messages:read", channels="own", guests=True)
async def mail_html(request: AnyRequest, mail_id: FromPath[int]) -> Response[str]:
    _, _, seen = await _opened(request, mail_id)
    if seen.html is None:
        raise NotFoundException
    return Response(seen.html, media_type=MediaType.HTML, headers=HTML_HEADERS)


@get("/{mail_id:int}/source", scope="messages:read", channels="own", guests=True)
async def mail_source(request: AnyRequest, mail_id: FromPath[int]) -> Response[bytes]:
    _, source = await _caught(request, mail_id)
    charset = charset_of(source)
    return Response(source, media_type=MediaType.TEXT, encoding=charset, headers=FILE_HEADERS)


@get("/{mail_id:int}/files/{number:int}", scope="messages:read", channels="own", guests=True)
async def mail_file(
    request: AnyRequest, mail_id: FromPath[int], number: FromPath[int]
) -> Response[bytes]:
    _, _, seen = await _opened(request, mail_id)
    if not 0 <= number < len(seen.files):
        raise NotFoundException
    file = seen.files[number]
    # Never the type the mail claims: what is saved is not for the browser to interpret.
    headers = FILE_HEADERS | {"Content-Disposition": _disposition(file)}
    return Response(file.content, media_type="application/octet-stream", headers=headers)


def _disposition(file: File) -> str:
    """RFC 6266: the name in ASCII for old programs, and as it is (RFC 8187) for all others."""
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in file.name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"


def _number(text: str | None) -> int | None:
    """A positive id from the address line; None for anything else."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return min(int(text), LARGEST_ID)


def _shown_view(asked: str | None, seen: MailView) -> str:
    if asked in {"html", "text", "source"}:
        return asked
    if seen.html is not None:
        return "html"
    return "source" if seen.text is None else "text"


def _channels(request: AnyRequest) -> frozenset[int] | None:
    """Those whose mail the visitor may see. A guest without a session sees all."""
    visitor = current(request)
    return None if visitor is None else visitor.caller.channels


def _database(request: AnyRequest) -> Database:
    return request.app.state.db


async def _caught(request: AnyRequest, mail_id: int) -> tuple[Caught, bytes]:
    if not 0 < mail_id <= LARGEST_ID:
        raise NotFoundException
    async with _database(request).read() as tx:
        found = await sandbox_mailbox.source(tx, _channels(request), mail_id)
    if found is None:
        raise NotFoundException
    return found


async def _opened(request: AnyRequest, mail_id: int) -> tuple[Caught, bytes, MailView]:
    caught, source = await _caught(request, mail_id)
    # In a thread: a large mail takes a while to take apart, and the engine shares our loop.
    return caught, source, await asyncio.to_thread(view, source)


def _told_http(request: AnyRequest, error: HTTPException) -> Response[str]:
    t = Words(language_of(request))
    known = {404: "not_found"}
    key = known.get(error.status_code)
    text = t(key) if key else error.detail
    title = t(f"{key or 'trouble'}_title")
    return problem(request, error.status_code, title, text, headers=error.headers or {})


def _told_ours(request: AnyRequest, error: UmsError) -> Response[str]:
    language = language_of(request)
    return problem(request, error.status, Words(language)("trouble_title"), error.words(language))


router: Final = Router(
    path="/sandbox",
    route_handlers=[mailbox, live_mailbox, mail, mail_html, mail_source, mail_file],
    exception_handlers={HTTPException: _told_http, UmsError: _told_ours},
    include_in_schema=False,
)
