"""The sender types of this installation."""

from collections.abc import Callable
from typing import Any

from ums.core.net.ssrf_guard import Guard
from ums.core.transports.protocol import Transport
from ums.core.transports.smtp import SandboxTransport, SmtpTransport
from ums.core.transports.webhook import WebhookTransport

Transports = dict[str, Transport[Any]]


def transports(*, ehlo_name: str, guard: Callable[[], Guard]) -> Transports:
    """Every type but the sandbox, by its name. `guard` judges the addresses of webhooks."""
    every: tuple[Transport[Any], ...] = (SmtpTransport(ehlo_name), WebhookTransport(guard))
    return {type.name: type for type in every}


def add_sandbox(types: Transports, port: int) -> None:
    """Add the sandbox, whose receiver listens at `port` of this machine."""
    types[SandboxTransport.name] = SandboxTransport(port)
