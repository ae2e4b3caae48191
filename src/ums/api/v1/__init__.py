"""The UMS API as the hosted UMS has it (ums-spec 3)."""

from litestar import HttpMethod, Response, route

from ums.api.answers import answer
from ums.api.v1 import materials, retract, sending, templates, token, users


@route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def root() -> Response[bytes]:
    """Something well-formed: a client's first call asks the bare base URL (7.1, item 1)."""
    return answer({"code": 0, "message": "UMS"})


handlers = [
    root,
    *materials.handlers,
    *retract.handlers,
    *sending.handlers,
    *templates.handlers,
    *token.handlers,
    *users.handlers,
]
