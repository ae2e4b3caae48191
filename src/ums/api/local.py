"""The local door: the `ums` command's way into a running server that holds the SQLite file.

Whoever can read the token file in the data folder could as well read the database and its key,
so the token gives no right that its reader does not have.
"""

import hmac

from litestar import Response, post
from litestar.params import FromPath

from ums.api.answers import Call, answer, body_of, intake_of, json_of, system_of
from ums.core import verbs
from ums.errors import NotAuthenticated


@post("/local/{name:str}", status_code=200)
async def call(request: Call, name: FromPath[str]) -> Response[bytes]:
    """Run a verb of core.verbs."""
    token: str = request.app.state.local_token
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise NotAuthenticated("local_token")
    params = json_of(await body_of(request))
    return answer(await verbs.call(system_of(request), intake_of(request), name, params))


handlers = [call]
