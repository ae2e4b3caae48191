"""The web server: uvicorn, but for what it answers to bytes that are no HTTP.

Clients read every body as JSON, whatever the status (ums-spec 7.1, item 11).
"""

import msgspec
import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ums.errors import Invalid


class Protocol(HttpToolsProtocol):
    """The protocol of the web server."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (uvicorn's own words)
        error = Invalid("bad_http")
        content = {"code": error.code, "message": error.words(), "reason": error.reason}
        body = msgspec.json.encode(content)
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        )
        self.transport.write(head + body)
        self.transport.close()


def config(app: Litestar) -> uvicorn.Config:
    """How `app` is served."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
