"""The local door: the `ums` command's way into a running server that holds the SQLite file.

Whoever can read the token file in the data folder could as well read the database and its key,
so the token gives no right that its reader does not have. The token alone proves the caller: where
a request comes from proves nothing, as some proxies of this machine add no header. That what
another machine asks, or a proxy is seen to have passed on, is answered as if there were no such
door, only keeps strangers from trying.
"""

import hmac
from collections.abc import AsyncGenerator
from ipaddress import ip_address

import msgspec
from litestar import Response, post
from litestar.params import FromPath
from litestar.response import Stream

from ums.api.responses import Call, answer, body_of, intake_of, json_of, system_of
from ums.core import verbs
from ums.core.audit import audit_log
from ums.core.identity import grants
from ums.errors import NotAuthenticated, NotFound
from ums.web.proxies import PROXIED


@post("/local/{name:str}", status_code=200)
async def call(request: Call, name: FromPath[str]) -> Response[bytes]:
    """Run a verb of core.verbs."""
    params = await _params(request)
    with grants.asking(grants.LOCAL):
        return answer(await verbs.call(system_of(request), intake_of(request), name, params))


@post("/local/{name:str}/steps", status_code=200)
async def follow(request: Call, name: FromPath[str]) -> Stream:
    """The same for a verb that tells its steps: each in a line, as it goes."""
    params = await _params(request)
    with grants.asking(grants.LOCAL):
        steps = await verbs.follow(system_of(request), name, params)

    async def lines() -> AsyncGenerator[bytes]:
        async for step in steps:
            yield msgspec.json.encode(step) + b"\n"

    return Stream(lines(), media_type="application/x-ndjson")


async def _params(request: Call) -> object:
    """Raises NotFound for other machines, NotAuthenticated for whoever has not read the token."""
    if not _is_here(request):
        raise NotFound("not_found")
    token: str = request.app.state.local_token
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise NotAuthenticated("local_token")
    audit_log.acts(audit_log.LOCAL)
    return json_of(await body_of(request))


def _is_here(request: Call) -> bool:
    """Whether a program of this machine asks, and no proxy in its stead."""
    if request.client is None or request.scope["state"].get(PROXIED, True):
        return False
    client, server = ip_address(request.client.host), request.scope["server"]
    own = server is not None and server[0] == request.client.host
    mapped = client.ipv4_mapped if client.version == 6 else None
    return own or (mapped or client).is_loopback


handlers = [call, follow]
