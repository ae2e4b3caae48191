"""Who calls, within the calls that they may make (ums-spec 3.1, Rate headers)."""

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

from ums.api.responses import Call, system_of
from ums.core.audit import audit_log
from ums.core.common.rate_limiter import Rate
from ums.core.context.directory import AccessKey, Channel
from ums.core.identity.credentials import Caller, authenticate
from ums.errors import Busy, Forbidden
from ums.web.edge import address_of

_RATE = "ums_rate"
_SAFE = ("GET", "HEAD", "OPTIONS")


async def caller_of(request: Call) -> Caller:
    """The caller. Raises NotAuthenticated, and Busy when it calls too often."""
    refuse_foreign(request)
    system = system_of(request)
    authorization, address = request.headers.get("authorization"), address_of(request.scope)
    caller = await authenticate(system, authorization, address)
    kind = "accesskey" if isinstance(caller, AccessKey) else "channel"
    audit_log.acts(f"{kind}:{caller.key}")
    count(request, caller)
    return caller


def refuse_foreign(request: Call) -> None:
    """Raises Forbidden for a change that another site's page asks for with a Basic password that
    the browser remembers. Browsers say so (Fetch Metadata); programs do not send the header."""
    site = request.headers.get("sec-fetch-site")
    token = request.headers.get("authorization", "").lower().startswith("bearer ")
    if request.method not in _SAFE and site in ("cross-site", "same-site") and not token:
        raise Forbidden("foreign_site")


async def channel_of(request: Call) -> Channel:
    """The same, for what only a channel may do. Raises Forbidden for the access key."""
    caller = await caller_of(request)
    if isinstance(caller, AccessKey):
        raise Forbidden("channel_only")
    return caller


def count(request: Call, caller: Caller) -> None:
    """Count a call, and have its answer tell the rate. Raises Busy when it is one too many."""
    rates = system_of(request).rates
    if isinstance(caller, Channel):
        rate = rates.take(("channel", caller.id), caller.rules.requests_per_second)
    else:
        rate = rates.take(("access key", caller.id), rates.access_keys)
    if rate.limit:
        request.scope["state"][_RATE] = rate
    if rate.over:
        raise Busy("busy")


async def tell_rate(message: Message, scope: Scope) -> None:
    """Puts the rate of the call into the head of its answer, which may be an error's."""
    if message["type"] != "http.response.start":
        return
    rate: Rate | None = scope["state"].get(_RATE)
    if rate is not None:
        headers = MutableScopeHeaders.from_message(message)
        headers["X-Rate-Limit-Limit"] = str(rate.limit)
        headers["X-Rate-Limit-Remaining"] = str(rate.remaining)
        headers["X-Rate-Limit-Reset"] = str(rate.reset)
