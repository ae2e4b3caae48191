"""All pages of the console behind its door."""

from litestar import Router
from litestar.di import Provide

from ums.console import (
    account,
    error_pages,
    home,
    one_time_secret,
    reauthentication,
    statistics,
    templates,
    two_factor,
)
from ums.console.administration import (
    api_tokens,
    audit_log,
    installation,
    invitations,
    operator_access,
    operators,
    settings,
)
from ums.console.channels import (
    access_lists,
    channels,
    content_filter,
    policy,
    strategies,
    webhooks,
)
from ums.console.current_operator import AnyRequest, Visitor, current
from ums.console.messages import (
    compose,
    deliveries,
    drafts,
    mail_preview,
    materials,
    messages,
    reschedule,
)
from ums.console.middleware import Door
from ums.console.sandbox import entry_link, mailbox
from ums.console.senders import mailboxes, reply_rules, send_limits, senders, webhook_senders
from ums.console.users import imports, segments, suppressions, users
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.errors import NotAuthenticated
from ums.web.bodies import BoundedRequest


def _system(request: AnyRequest) -> AppContext:
    return request.app.state.system


def _intake(request: AnyRequest) -> Intake:
    return request.app.state.intake


def _visitor(request: AnyRequest) -> Visitor:
    found = current(request)
    if found is None:  # only a page that anybody may see could come here: the door lets no other
        raise NotAuthenticated("no_credentials")
    return found


def router() -> Router:
    return Router(
        path="/",
        route_handlers=[
            *account.handlers,
            *reauthentication.handlers,
            *two_factor.handlers,
            *home.handlers,
            *mail_preview.handlers,
            *messages.handlers,
            *deliveries.handlers,
            *compose.handlers,
            *drafts.handlers,
            *reschedule.handlers,
            *templates.handlers,
            *statistics.handlers,
            *channels.handlers,
            *webhooks.handlers,
            *policy.handlers,
            *access_lists.handlers,
            *suppressions.handlers,
            *content_filter.handlers,
            *strategies.handlers,
            *materials.handlers,
            *segments.handlers,
            *senders.handlers,
            *webhook_senders.handlers,
            *send_limits.handlers,
            *mailboxes.handlers,
            *reply_rules.handlers,
            *users.handlers,
            *imports.handlers,
            *operators.handlers,
            *invitations.handlers,
            *api_tokens.handlers,
            *installation.handlers,
            *audit_log.handlers,
            *operator_access.handlers,
            *settings.handlers,
            *one_time_secret.handlers,
            *entry_link.handlers,
            mailbox.router,
        ],
        middleware=[Door],
        request_class=BoundedRequest,
        opt={"body": "form"},
        exception_handlers=error_pages.handlers,
        include_in_schema=False,
        dependencies={
            "system": Provide(_system, sync_to_thread=False),
            "intake": Provide(_intake, sync_to_thread=False),
            "visitor": Provide(_visitor, sync_to_thread=False),
        },
    )
