"""Builds the web application: the doors, their errors, and the engine in its lifespan."""

import gc
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from litestar import Litestar, Router
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from ums.api import authentication, error_handlers, health, local_rpc, management, v1
from ums.api.audit_middleware import Audited
from ums.config import Settings
from ums.console import error_pages as console_failing
from ums.console import middleware as console_door
from ums.console import router as console
from ums.console.api_docs import api_docs
from ums.console.rendering import static_files
from ums.core.audit import audit_gate
from ums.core.common import idempotency
from ums.core.context.app_context import AppContext
from ums.core.identity import grants
from ums.core.maintenance.startup import open_system
from ums.core.messages.intake import Intake
from ums.db import patience
from ums.engine.worker import running
from ums.web import bodies, targets
from ums.web.bodies import Gate

Announce = Callable[[AppContext, str], None]
PATIENCE = 8.0  # seconds that a request waits for one statement


def build(settings: Settings, ready: "Announce | None" = None) -> Litestar:
    """The application. `ready` is called with the system and the local door's token as soon as
    the database is open and the engine runs."""
    app = assemble()
    configure(app, settings, ready)
    return app


def configure(app: Litestar, settings: Settings, ready: "Announce | None" = None) -> None:
    """Set what `app` starts with, as `build` does."""
    app.state.update({"stopping": False, "settings": settings, "ready": ready})


def assemble() -> Litestar:
    """The application without settings: its routes and middleware, which are the same for all."""
    app = Litestar(
        route_handlers=[
            management.router(),
            console.router(),
            Router(
                path="/",
                route_handlers=[
                    *v1.handlers,
                    *local_rpc.handlers,
                    *health.handlers,
                    static_files,
                    api_docs,
                ],
                opt={"body": "json"},
                include_in_schema=False,
            ),
        ],
        exception_handlers=console_failing.for_all(error_handlers.handlers),
        before_request=targets.refuse_unstorable,
        before_send=[authentication.tell_rate],
        middleware=[Audited, Gate, _impatient, _options],
        lifespan=[_lifespan],
        openapi_config=management.openapi.config(),
        logging_config=None,  # ums.logs does it for the whole process
        request_max_body_size=None,  # the gate's limits speak the caller's format
    )
    app.state.methods = _methods(app)
    management.settle(app)
    console_door.settle(app)
    bodies.settle(app)
    targets.settle(app)
    app.state.describe_api = partial(management.openapi.document, app)
    return app


def _impatient(app: ASGIApp) -> ASGIApp:
    """Whoever asks is told after some seconds that the database says nothing, and may grant
    nothing before its door says who it is."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        patience.set(PATIENCE)
        grants.distrust()
        await app(scope, receive, send)

    return run


def _methods(app: Litestar) -> dict[str, str]:
    """What `Allow` says of each path."""
    routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
    return {route.path_format: ", ".join(sorted(route.methods)) for route in routes}


def _options(app: ASGIApp) -> ASGIApp:
    """OPTIONS names every method of the path; Litestar's own handler knows only those of the file
    that it met first."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        known: dict[str, str] = scope["litestar_app"].state.methods
        allow = known.get(scope.get("path_template", ""))
        if scope["type"] != "http" or scope["method"] != "OPTIONS" or allow is None:
            await app(scope, receive, send)
            return
        headers = [(b"allow", allow.encode())]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return run


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncGenerator[None]:
    ready: Announce | None = app.state.ready
    async with open_system(app.state.settings) as system:
        intake = Intake(system)
        token = secrets.token_urlsafe(32)
        app.state.system = system
        app.state.db = system.database
        app.state.intake = intake
        app.state.local_token = token
        await idempotency.abandon(system.database)
        async with running(system):
            if ready is not None:
                ready(system, token)
            # What lives as long as the process need not be looked through at each collection:
            # a full one stops every request for 50 ms.
            gc.collect()
            gc.freeze()
            yield
            app.state.stopping = True
            await intake.drain()
            await audit_gate.flush(system, now=True)
