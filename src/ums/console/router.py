"""All pages of the console behind its door."""

from litestar import Router
from litestar.di import Provide

from ums.console import (
    account,
    administration,
    auditing,
    callbacks,
    caps,
    channel_lists,
    channel_settings,
    channels,
    confirming,
    deliveries,
    entering,
    failing,
    governing,
    home,
    imports,
    mailboxes,
    materials,
    message_mail,
    messages,
    operators,
    replies,
    sandbox,
    schedule,
    segments,
    senders,
    sending,
    settings,
    shown,
    statistics,
    suppressions,
    templates,
    two_factor,
    users,
    writing,
)
from ums.console.door import Door
from ums.console.visitor import AnyRequest, Visitor, current
from ums.core.context.app_context import System
from ums.core.messages.intake import Intake
from ums.errors import NotAuthenticated
from ums.web.bodies import BoundedRequest


def _system(request: AnyRequest) -> System:
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
            *confirming.handlers,
            *two_factor.handlers,
            *home.handlers,
            *message_mail.handlers,
            *messages.handlers,
            *deliveries.handlers,
            *sending.handlers,
            *writing.handlers,
            *schedule.handlers,
            *templates.handlers,
            *statistics.handlers,
            *channels.handlers,
            *callbacks.handlers,
            *channel_settings.handlers,
            *channel_lists.handlers,
            *suppressions.handlers,
            *governing.handlers,
            *materials.handlers,
            *segments.handlers,
            *senders.handlers,
            *caps.handlers,
            *mailboxes.handlers,
            *replies.handlers,
            *users.handlers,
            *imports.handlers,
            *administration.handlers,
            *auditing.handlers,
            *operators.handlers,
            *settings.handlers,
            *shown.handlers,
            *entering.handlers,
            sandbox.router,
        ],
        middleware=[Door],
        request_class=BoundedRequest,
        opt={"body": "form"},
        exception_handlers=failing.handlers,
        include_in_schema=False,
        dependencies={
            "system": Provide(_system, sync_to_thread=False),
            "intake": Provide(_intake, sync_to_thread=False),
            "visitor": Provide(_visitor, sync_to_thread=False),
        },
    )
