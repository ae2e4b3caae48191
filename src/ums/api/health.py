"""Is the server alive, and is it fit to take requests?"""

from litestar import Response, get
from sqlalchemy import text

from ums.api.responses import Call, answer, system_of
from ums.errors import Unavailable


@get("/healthz")
async def alive() -> Response[bytes]:
    """The process runs."""
    return answer({"status": "ok"})


@get("/readyz")
async def ready(request: Call) -> Response[bytes]:
    """The database answers and the engine runs; 503 when not."""
    if request.app.state.stopping:
        raise Unavailable("stopping")
    async with system_of(request).database.read() as tx:
        await tx.value(text("SELECT 1"))
    return answer({"status": "ok"})


handlers = [alive, ready]
