"""The management API: typed routes behind one door; see `door`."""

from litestar import Router
from litestar.di import Provide

from ums.api.manage import (
    approvals,
    audit,
    callbacks,
    channels,
    document,
    imports,
    installation,
    lists,
    materials,
    messages,
    operator_access,
    operators,
    provider_events,
    replies,
    rules,
    segments,
    senders,
    sending,
    settings,
    stats,
    stops,
    strategies,
    suppressions,
    templates,
    tokens,
    users,
)
from ums.api.manage.door import Door, settle
from ums.api.manage.shapes import caller, paging, system
from ums.web.bodies import BoundedRequest as Call

__all__ = ["document", "router", "settle"]


def router() -> Router:
    """All its routes."""
    return Router(
        path="/",
        route_handlers=[
            *channels.handlers,
            *senders.handlers,
            *imports.handlers,
            *messages.handlers,
            *sending.handlers,
            *stops.handlers,
            *provider_events.handlers,
            *operators.handlers,
            *operator_access.handlers,
            *tokens.handlers,
            *stats.handlers,
            *users.handlers,
            *templates.handlers,
            *segments.handlers,
            *lists.handlers,
            *suppressions.handlers,
            *materials.handlers,
            *callbacks.handlers,
            *strategies.handlers,
            *rules.handlers,
            *replies.handlers,
            *approvals.handlers,
            *audit.handlers,
            *settings.handlers,
            *installation.handlers,
        ],
        middleware=[Door],
        request_class=Call,
        opt={"body": "json"},
        dependencies={
            "caller": Provide(caller, sync_to_thread=False),
            "paging": Provide(paging, sync_to_thread=False),
            "system": Provide(system, sync_to_thread=False),
        },
    )
