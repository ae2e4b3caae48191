"""What providers tell of mails."""

from typing import Annotated

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, System
from ums.core.deliveries import provider_events
from ums.core.deliveries.provider_events import MOST, EventsTaken, ProviderEvent


class EventBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Events as they came."""

    events: Annotated[list[ProviderEvent], Meta(min_length=1, max_length=MOST)]


@post(
    "/api/provider-events", scope="messages:write", channels="own", body="events", status_code=200
)
async def take_events(system: System, caller: Caller, data: JSONBody[EventBatch]) -> EventsTaken:
    """Hand on what a provider's webhook told of mails: it settles deliveries in doubt, makes those
    that came back `failed`, and suppresses addresses. Each event counts once, however often it is
    told."""
    return await provider_events.take(system, data.events, caller.channels)


handlers = [take_events]
