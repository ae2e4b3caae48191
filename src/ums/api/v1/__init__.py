"""The UMS API as the hosted UMS has it (ums-spec 3)."""

from litestar import HttpMethod, Response, route

from ums.api.responses import Call, answer
from ums.api.v1 import materials, messages, retract, template_messages, token, users


@route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def root(request: Call) -> Response[bytes]:
    """Something well-formed: a client's first call asks the bare base URL (7.1, item 1). People,
    whose browsers ask for HTML, are led to the console."""
    given = answer({"code": 0, "message": "UMS"})
    if "text/html" in request.headers.get("accept", ""):
        given.status_code = 303
        given.headers["Location"] = "/home"
    return given


handlers = [
    root,
    *materials.handlers,
    *retract.handlers,
    *messages.handlers,
    *template_messages.handlers,
    *token.handlers,
    *users.handlers,
]
