"""The management API: what became of a channel's messages."""

from litestar import Response, get
from litestar.params import FromPath

from ums.api.answers import Call, answer, system_of
from ums.api.callers import channel_of
from ums.core import reports
from ums.errors import Invalid

_FILTERS = ("state", "reason", "userid", "address", "after")


def _limit(request: Call) -> int:
    text = request.query_params.get("limit", "50")
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Invalid("bad_filter", field="limit", detail=f"1 to {reports.MOST}")
    return int(text)


def _filters(request: Call, known: tuple[str, ...]) -> dict[str, str]:
    given = dict(request.query_params)
    given.pop("limit", None)
    for name in given:
        if name not in known:
            raise Invalid("unknown_field", field=name[:40])
    return given


@get("/api/messages")
async def list_messages(request: Call) -> Response[bytes]:
    """The channel's messages, the newest first: `limit`, `after`."""
    channel = await channel_of(request)
    given = _filters(request, ("after",))
    async with system_of(request).database.read() as tx:
        page = await reports.list_messages(tx, channel.id, limit=_limit(request), **given)
    return answer(page)


@get("/api/messages/{msgid:str}")
async def show_message(request: Call, msgid: FromPath[str]) -> Response[bytes]:
    """A message with counts by state, which add up to its audience."""
    channel = await channel_of(request)
    async with system_of(request).database.read() as tx:
        return answer(await reports.message(tx, msgid, channel.id))


@get("/api/messages/{msgid:str}/deliveries")
async def list_deliveries(request: Call, msgid: FromPath[str]) -> Response[bytes]:
    """Its deliveries: filters `state`, `reason`, `userid`, `address`; `limit`, `after`."""
    channel = await channel_of(request)
    given = _filters(request, _FILTERS)
    async with system_of(request).database.read() as tx:
        page = await reports.list_deliveries(tx, msgid, channel.id, limit=_limit(request), **given)
    return answer(page)


@get("/api/deliveries/{delivery_id:str}")
async def show_delivery(request: Call, delivery_id: FromPath[str]) -> Response[bytes]:
    """A delivery with every attempt."""
    channel = await channel_of(request)
    known = delivery_id.isascii() and delivery_id.isdigit() and len(delivery_id) <= 18
    async with system_of(request).database.read() as tx:
        return answer(await reports.delivery(tx, int(delivery_id) if known else 0, channel.id))


handlers = [list_messages, show_message, list_deliveries, show_delivery]
