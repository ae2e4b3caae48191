"""How a request to a receiver proves that it comes from here.

    signed   a Standard Webhooks signature with the secret of the address; where the receiver
             wants it, Basic with a user and a password of the address's own
    hosted   as the hosted UMS: also Basic with ChannelKey and MasterSecret, on the check too

The MasterSecret opens the whole channel, so the form `hosted` is an explicit choice of somebody
who may replace that secret anyway (`Caller.may_see_secret`), and `authorization` is the only
place that opens it for a receiver: over https, or to a private address that stands in the URL.
"""

from typing import Any, Final, Literal, Self

import httpx
from msgspec import Struct

from ums.core.common.field_errors import Check
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.identity.credentials import channel_context
from ums.core.net.http_client import basic
from ums.core.net.ssrf_guard import is_inside
from ums.errors import Forbidden, Invalid

ProofForm = Literal["signed", "hosted"]
SIGNED: Final = "signed"
HOSTED: Final = "hosted"
MOST: Final = 255  # characters of a user or password


class Proof(Struct, frozen=True):
    """What an address is sent beside the signature; `username` and `password` are its own."""

    form: str = SIGNED
    username: str = ""
    password: str = ""

    @classmethod
    def of(cls, system: AppContext, channel: Channel, row: Any) -> Self:
        """That of an address or a batch. Raises Invalid with a wrong key."""
        if row.password is None:
            return cls(row.form, row.username)
        password = system.seal.open(row.password, password_context(channel.key, row.url))
        return cls(row.form, row.username, password)

    def sealed(self, system: AppContext, channel: Channel, url: str) -> dict[str, Any]:
        """The columns that keep it with the address."""
        context = password_context(channel.key, url)
        password = system.seal.close(self.password, context) if self.password else None
        return {"form": self.form, "username": self.username, "password": password}

    def check(self, url: httpx.URL, *, may_see_secret: bool) -> None:
        """Raises Invalid (callback_form, callback_basic, callback_hosted_insecure), Forbidden
        (callback_hosted) for who may not choose the form `hosted`."""
        for check in self.checks(url, may_see_secret=may_see_secret):
            check()

    def checks(self, url: httpx.URL | None, *, may_see_secret: bool) -> list[Check]:
        """A check for each field; `url` is None where it is none."""
        return [
            lambda: _check_form(self.form),
            lambda: _check_text("username", self.username),
            lambda: _check_text("password", self.password),
            lambda: _check_pair(self),
            lambda: _check_hosted(self.form, may_see_secret=may_see_secret),
            lambda: None if url is None or self.form != HOSTED else _check_secure(url),
        ]


def password_context(key: str, url: str) -> str:
    """What the password of an address is bound to."""
    return f"callback-password:{key}:{url}"


def authorization(
    system: AppContext, channel: Channel, url: httpx.URL, proof: Proof
) -> dict[bytes, bytes]:
    """The `Authorization` of a request to `url`, if the form has one. Raises Invalid."""
    if proof.form == HOSTED:
        _check_secure(url)
        secret = system.seal.open(channel.secret, channel_context(channel.key))
        return basic(channel.key, secret)
    return basic(proof.username, proof.password) if proof.username else {}


def _check_form(form: str) -> None:
    if form not in (SIGNED, HOSTED):
        raise Invalid("callback_form", field="form")


def _check_hosted(form: str, *, may_see_secret: bool) -> None:
    if form == HOSTED and not may_see_secret:
        raise Forbidden("callback_hosted")


def _check_text(field: str, value: str) -> None:
    if len(value) > MOST or not value.isprintable():
        raise Invalid("bad_value", field=field)


def _check_pair(proof: Proof) -> None:
    if ":" in proof.username or bool(proof.username) != bool(proof.password):
        raise Invalid("callback_basic", field="username")
    if proof.username and proof.form == HOSTED:
        raise Invalid("callback_basic_hosted", field="username")


def _check_secure(url: httpx.URL) -> None:
    """Raises Invalid for http over a network that is not the operator's own."""
    if url.scheme != "https" and not is_inside(url.host):
        raise Invalid("callback_hosted_insecure", field="url")
