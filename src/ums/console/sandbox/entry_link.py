"""The link that `ums serve` shows on a terminal: it opens the sandbox, once."""

from litestar import Response, get
from litestar.params import FromPath

from ums.console.dependencies import System
from ums.console.rendering import AnyRequest, go
from ums.console.sandbox.guests import guests_of, pass_cookie
from ums.core.audit import audit_log
from ums.errors import Forbidden


@get("/sandbox/enter/{token:str}", scope="open")
async def enter(request: AnyRequest, system: System, token: FromPath[str]) -> Response[str]:
    given = guests_of(request.app.state).enter(token)
    if given is None:
        raise Forbidden("sandbox_link")  # which the audit gate counts
    async with system.database.write() as tx:
        await audit_log.note(tx, "link.enter", "sandbox")
    return go("/sandbox", cookies=[pass_cookie(request, given)])


handlers = [enter]
