"""The audit gate of all HTTP doors.

It says from where a request comes; the doors say whose it is. A request that changed something, or
was answered with a file, leaves an entry in the audit log: that of the code which did it, else one
that is named in `NAMES`, or by its handler. So does a program that is given a list of people or
addresses, one for all the lists of an hour. Only what stands in `UNAUDITED`, with its reason,
leaves none, so that a new route is noted before anybody has thought of it.
"""

from contextlib import suppress
from typing import Any, Final

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ums.core.audit import audit_gate, audit_log
from ums.core.audit.audit_gate import Failures, Listings
from ums.core.audit.audit_log import Acting
from ums.core.context.app_context import AppContext
from ums.errors import UmsError
from ums.web.edge import address_of

log = structlog.get_logger()
UNAUDITED: Final = {
    "POST /v1/sent": "the message names who asked for it",
    "POST /v1/broadcast": "the message names who asked for it",
    "POST /v1/template/sent": "the message names who asked for it",
    "POST /v1/template/broadcast": "the message names who asked for it",
    "POST /api/messages": "the message names who asked for it",
    "POST /local/{name}": "the verb is noted, by whatever way it is called",
    "POST /local/{name}/steps": "the verb is noted, by whatever way it is called",
    "POST /login": "a sign-in is noted where it is complete",
    "POST /send/form": "renders what is typed, and keeps nothing",
    "POST /send/save": "half a draft, kept as it is typed; the draft that can be sent is noted",
    "POST /segments-count": "counts, and changes nothing",
    "POST /api/segments/count": "counts, and changes nothing",
    "POST /api/segments/sample": "reads",
    "POST /api/channels/{key}/templates/{template_id}/preview": "renders, and changes nothing",
    "GET /imports/template.xlsx": "an empty form",
}
"""Routes that change nothing or give nothing out, or whose record is kept elsewhere, and why."""
NAMES: Final = {
    "POST /logout": "operator.sign_out",
    "POST /send": "draft.keep",
    "POST /send/{draft_id}": "draft.keep",
    "POST /send/language": "draft.keep",
    "POST /shown/{shown_id}/done": "secret.acknowledge",
    "POST /send/{draft_id}/delete": "draft.delete",
    "POST /senders/{code}/test": "sender.test",
    "POST /api/senders/{code}/test": "sender.test",
    "POST /senders/{code}/mailbox/look": "sender.mailbox_look",
    "POST /api/senders/{code}/mailbox/look": "sender.mailbox_look",
    "POST /restored": "restored.confirm",
    "POST /api/restored/confirm": "restored.confirm",
    "POST /api/provider-events": "provider_events.take",
    "GET /api/audit": "audit.list",
    "GET /api/messages/{msgid}/deliveries": "delivery.list",
    "GET /api/users/{userid}/deliveries": "delivery.list",
    "GET /api/channels/{key}/lists/{list_id}/entries": "list.entries",
    "GET /api/segments/{segment_id}/users": "segment.users",
    "POST /api/segments/sample": "segment.users",
    "GET /messages/{msgid}/deliveries.csv": "message.export",
    "GET /messages/{msgid}/deliveries.xlsx": "message.export",
    "GET /audit.csv": "audit.export",
    "GET /statistics.csv": "statistics.export",
    "GET /channels/{key}/suppressions.csv": "suppression.export",
    "GET /imports/{id}/rejects": "import.export",
    "GET /api/imports/{id}/rejects": "import.export",
    "GET /sandbox/{mail_id}/source": "sandbox.export",
    "GET /sandbox/{mail_id}/files/{number}": "sandbox.export",
}
"""What the entry is called where nothing else has left one."""
LINKS: Final = {
    "GET /sandbox/enter/{token}": (403, "sandbox"),
    "GET /invitation/{token}": (404, "invitation"),
    "POST /invitation/{token}": (404, "invitation"),
}
"""Routes of links that let somebody in: how a bad one is answered, and what it was for."""
_Headers = list[tuple[bytes, bytes]]
_READS: Final = ("GET", "HEAD", "OPTIONS")
_REPLAYED: Final = (b"idempotency-replayed", b"true")


class Audited:
    """The middleware around every door."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with audit_log.acting(audit_log.ANYBODY, address_of(scope)) as by:

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await _answered(scope, by, message["status"], list(message["headers"]))
                await send(message)

            try:
                await self._app(scope, receive, answer)
            except UmsError as error:
                await _refused(scope, by, error.status)
                raise


async def _answered(scope: Any, by: Acting, status: int, headers: _Headers) -> None:
    """Before the first byte of an answer goes out, what it did has its entry."""
    if status >= 400:
        await _refused(scope, by, status)
        return
    if by.given:
        await _system(scope).shared(Listings).count(by, _action(scope), by.about or _subject(scope))
    reads = scope["method"] in _READS and not _is_file(headers)
    if by.turned_away or reads or _REPLAYED in headers or route_of(scope) in UNAUDITED:
        return
    subject = by.about or _subject(scope)
    await audit_gate.settle(_system(scope).database, by, _action(scope), subject)


async def _refused(scope: Any, by: Acting, status: int) -> None:
    """Count failed sign-ins and credentials that are not good, and log who asked for more than it
    may."""
    if status == 403 and by.actor != audit_log.ANYBODY:
        log.info("forbidden", actor=by.actor, address=by.address, route=route_of(scope))
    failed, link = LINKS.get(route_of(scope), (0, ""))
    if status == failed:
        await _count_failure(scope, by, "link.failed", link)
        return
    if status not in (401, 429) or (status == 429 and by.actor != audit_log.ANYBODY):
        return  # whoever is known and calls too often is no stranger who guesses
    word = "failed" if status == 401 else "throttled"
    kind = "sign_in" if _is_page(scope) else "access"
    await _count_failure(scope, by, f"{kind}.{word}", by.about)


async def _count_failure(scope: Any, by: Acting, action: str, subject: str) -> None:
    with suppress(UmsError):  # what is refused stays refused while the database is away
        await _system(scope).shared(Failures).count(action, subject, by.address)


def _is_page(scope: Any) -> bool:
    return not f"{scope['path']}/".startswith(("/api/", "/v1/", "/local/"))


def _is_file(headers: _Headers) -> bool:
    return any(
        name.lower() == b"content-disposition" and value.startswith(b"attachment")
        for name, value in headers
    )


def _action(scope: Any) -> str:
    handler = scope["route_handler"]
    area = handler.fn.__module__.rpartition(".")[2]
    verb = handler.handler_name.partition("_")[0]
    return NAMES.get(route_of(scope), f"{area.removesuffix('s')}.{verb}"[:60])


def route_of(scope: Any) -> str:
    """Method and path of the route, with the names of its parameters."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return f"{method} {scope.get('path_template', '')}"


def _subject(scope: Any) -> str:
    return " ".join(str(value) for value in scope.get("path_params", {}).values())


def _system(scope: Any) -> AppContext:
    return scope["litestar_app"].state.system
