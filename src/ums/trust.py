"""Whose certificates are believed: the system's authorities, and those of the installation's own
(UMS_CA_FILE). One place for mail servers, mailboxes, callbacks and downloads."""

import ssl
from functools import cache

_extra: list[str] = [""]


def use(ca_file: str) -> None:
    """Believe the certificates of this PEM file as well, from now on in this process.

    Raises OSError (ssl.SSLError is one) for a file that cannot be read or holds none.
    """
    _made(ca_file)
    _extra[0] = ca_file


def context() -> ssl.SSLContext:
    """A context that verifies servers; shared, as reading certificates takes long."""
    return _made(_extra[0])


@cache
def _made(ca_file: str) -> ssl.SSLContext:
    made = ssl.create_default_context()
    if ca_file:
        made.load_verify_locations(ca_file)
    return made
