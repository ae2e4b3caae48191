"""The settings of a webhook sender: where its deliveries are posted to, and with which secrets."""

from typing import Literal

import msgspec
from msgspec import Struct

from ums import clock

Authentication = Literal["none", "basic", "bearer"]


class WebhookSettings(Struct, frozen=True):
    """What is shown of it; the secrets are kept sealed (`WebhookSecrets`)."""

    url: str
    authentication: Authentication = "none"
    account: str = ""  # the user of Basic
    deduplicates: bool = False  # the receiver takes no webhook-id twice


class WebhookSecrets(Struct, frozen=True):
    """What is sealed with the sender."""

    signing: str
    password: str = ""  # of Basic, or the bearer's token
    old_signing: str = ""
    old_until: int = 0  # ms: until then the old one signs as well

    @property
    def good(self) -> list[str]:
        """The secrets that sign now."""
        old = self.old_signing if self.old_until > clock.now() else ""
        return [self.signing, *([old] if old else [])]

    def __repr__(self) -> str:
        return "WebhookSecrets()"


def read(settings: str) -> WebhookSettings:
    return msgspec.json.decode(settings, type=WebhookSettings)


def read_secrets(opened: str) -> WebhookSecrets:
    return msgspec.json.decode(opened, type=WebhookSecrets)


def binding(settings: WebhookSettings) -> str:
    """Where the secrets may be sent; they are sealed with this."""
    return f"{settings.url}|{settings.authentication}|{settings.account}"
