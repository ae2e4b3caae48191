"""The installation: its version, whether it is a restored backup, and the operation guide."""

import platform

from litestar import Response, get, post

from ums import __version__
from ums.console.dependencies import System, Visitor
from ums.console.rendering import AnyRequest, go, page
from ums.core.maintenance import restore_guard


@get("/about", scope="any")
async def about(request: AnyRequest, system: System) -> Response[str]:
    facts = {
        "version": __version__,
        "database": system.database.dialect,
        "python": platform.python_version(),
        "key": system.seal.fingerprint,
    }
    return page(request, "administration/about.html", facts=facts)


@get("/restored", scope="any")
async def show_restored(request: AnyRequest, system: System) -> Response[str]:
    """Why nothing is sent after a backup was restored, and what to do."""
    return page(request, "administration/restored.html", found=await restore_guard.show(system))


@post("/restored", scope="operators:write", channels="all", recent=True)
async def confirm_restored(system: System, visitor: Visitor) -> Response[str]:
    await restore_guard.confirm(system, actor=visitor.caller.name)
    return go("/restored", "administration.did_restore")


@get("/help", scope="any")
async def help_page(request: AnyRequest) -> Response[str]:
    """The operation guide."""
    return page(request, "help/help.html")


handlers = [about, show_restored, confirm_restored, help_page]
