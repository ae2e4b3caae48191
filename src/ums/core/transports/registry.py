"""The sender types of this installation."""

from typing import Any

from ums.core.transports.protocol import Transport
from ums.core.transports.smtp import SandboxTransport, SmtpTransport

Transports = dict[str, Transport[Any]]


def transports(*, ehlo_name: str) -> Transports:
    """Every type but the sandbox, by its name."""
    every: tuple[Transport[Any], ...] = (SmtpTransport(ehlo_name),)
    return {type.name: type for type in every}


def add_sandbox(types: Transports, port: int) -> None:
    """Add the sandbox, whose receiver listens at `port` of this machine."""
    types[SandboxTransport.name] = SandboxTransport(port)
