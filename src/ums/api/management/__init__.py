"""The management API: typed routes behind one door; see `door`."""

from litestar import Router
from litestar.di import Provide

from ums.api.management import (
    api_tokens,
    audit_log,
    imports,
    installation,
    materials,
    openapi,
    operator_access,
    operators,
    provider_events,
    reply_rules,
    segments,
    senders,
    settings,
    statistics,
    suppressions,
    templates,
    users,
    webhook_senders,
)
from ums.api.management.channels import access_lists, channels, policy, strategies, webhooks
from ums.api.management.dependencies import caller, paging, system
from ums.api.management.messages import actions, approvals, messages, submission
from ums.api.management.middleware import Door, settle
from ums.api.management.strict_request import StrictRequest

__all__ = ["openapi", "router", "settle"]


def router() -> Router:
    """All its routes."""
    return Router(
        path="/",
        route_handlers=[
            *channels.handlers,
            *senders.handlers,
            *webhook_senders.handlers,
            *imports.handlers,
            *messages.handlers,
            *submission.handlers,
            *actions.handlers,
            *provider_events.handlers,
            *operators.handlers,
            *operator_access.handlers,
            *api_tokens.handlers,
            *statistics.handlers,
            *users.handlers,
            *templates.handlers,
            *segments.handlers,
            *access_lists.handlers,
            *suppressions.handlers,
            *materials.handlers,
            *webhooks.handlers,
            *strategies.handlers,
            *policy.handlers,
            *reply_rules.handlers,
            *approvals.handlers,
            *audit_log.handlers,
            *settings.handlers,
            *installation.handlers,
        ],
        middleware=[Door],
        request_class=StrictRequest,
        opt={"body": "json"},
        dependencies={
            "caller": Provide(caller, sync_to_thread=False),
            "paging": Provide(paging, sync_to_thread=False),
            "system": Provide(system, sync_to_thread=False),
        },
    )
