"""The access token of a provider: `/v1/token` (ums-spec 3.13)."""

from litestar import Response, get

from ums.api.authentication import channel_of
from ums.api.responses import Call
from ums.errors import Invalid


@get("/v1/token")
async def token(request: Call) -> Response[bytes]:
    """Refused for every type: of email, which alone is served here, there is none to hand out."""
    await channel_of(request)
    kind = request.query_params.get("type")
    if kind is None:
        raise Invalid("missing", field="type")
    raise Invalid("token_type", type=kind[:40])


handlers = [token]
