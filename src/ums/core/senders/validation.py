"""What the fields of a sender may be."""

from typing import Protocol

from ums.core.channels.channels import check_name
from ums.core.common.field_errors import Check
from ums.errors import Invalid
from ums.mail import email_account
from ums.mail.addresses import BadAddress, clean, clean_display_name
from ums.mail.email_account import EmailSettings
from ums.mail.outcomes import Encryption


class Given(Protocol):
    """The fields of NewSender that are checked here."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def encryption(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def password(self) -> str | None: ...
    @property
    def from_address(self) -> str: ...
    @property
    def from_name(self) -> str: ...
    @property
    def allow_port(self) -> bool: ...


def settings_of(given: Given, free: frozenset[int], *, own_port: bool) -> EmailSettings:
    """The settings of an account. Raises Invalid for the first that is wrong."""
    for check in checks_of(given, free, own_port=own_port):
        check()
    return EmailSettings(
        host=given.host,
        port=given.port,
        encryption=Encryption(given.encryption),
        account=given.account,
        from_address=clean(given.from_address),
        from_name=clean_display_name(given.from_name),
    )


def checks_of(given: Given, free: frozenset[int], *, own_port: bool) -> list[Check]:
    """A check for each field. Ports of `free` need no approval, nor does one of its `own`."""
    return [
        lambda: check_name(given.name),
        lambda: _check_encryption(given.encryption),
        lambda: _check_port(given, free, own_port=own_port),
        lambda: _check_host(given.host),
        lambda: refuse_controls(given.account, "account"),
        lambda: refuse_controls(given.password or "", "password"),
        lambda: _check_address(given.from_address),
        lambda: _check_from_name(given.from_name),
    ]


def check_moved(before: EmailSettings, given: Given) -> None:
    """Raises Invalid where the password that is stored would go elsewhere."""
    new = (given.host, given.port, given.account, given.encryption)
    old = (before.host, before.port, before.account, before.encryption.value)
    if new != old and given.password is None:
        raise Invalid("password_again")


def _check_encryption(encryption: str) -> None:
    if encryption not in set(Encryption):
        raise Invalid("encryption")


def _check_port(given: Given, free: frozenset[int], *, own_port: bool) -> None:
    if not 1 <= given.port <= 65535:
        raise Invalid("port_range")
    if not own_port and given.port not in free and not given.allow_port:
        raise Invalid("port_approval", port=given.port)


def _check_host(host: str) -> None:
    if not host:
        raise Invalid("missing", field="host")
    if not email_account.is_host(host):
        raise Invalid("host_shape", host=host)


def _check_address(address: str) -> None:
    try:
        clean(address)
    except BadAddress as error:
        raise Invalid("bad_address", field="from", detail=error.detail) from None


def _check_from_name(name: str) -> None:
    try:
        clean_display_name(name)
    except BadAddress as error:
        raise Invalid("bad_address", field="from_name", detail=error.detail) from None


def refuse_controls(text: str, field: str) -> None:
    """Raises Invalid where `text` would break out of its line of a protocol."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise Invalid("control_characters", field=field)
