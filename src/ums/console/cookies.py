"""The console's cookies.

Under TLS their names begin with `__Host-`: browsers take such a cookie only from this very host,
over TLS and for all its paths, so that no other site of the domain and nobody on the wire can put
one in its place (RFC 6265bis, 4.1.3.2). The plain names are for http alone: under TLS they are not
read.
"""

from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie

AnyRequest = Request[Any, Any, Any]
SESSION: Final = "ums_session"
DEVICE: Final = "ums_device"
LANGUAGE: Final = "ums_language"
_PREFIX: Final = "__Host-"


def read(request: AnyRequest, name: str) -> str:
    """The value of the cookie; "" where there is none."""
    return request.cookies.get(_full(request, name), "")


def make(request: AnyRequest, name: str, value: str, seconds: int) -> Cookie:
    """The cookie to set; an empty `value` takes it away."""
    return Cookie(
        _full(request, name),
        value=value,
        max_age=seconds if value else 0,
        path="/",
        httponly=True,
        secure=is_secure(request),
        samesite="lax",
    )


def is_secure(request: AnyRequest) -> bool:
    """Whether the browser speaks TLS, to us or to the proxy before us."""
    public: str = request.app.state.system.settings.public_url
    return request.url.scheme == "https" or public.startswith("https:")


def _full(request: AnyRequest, name: str) -> str:
    return f"{_PREFIX}{name}" if is_secure(request) else name
