"""A sender's settings as its type has them."""

import httpx
from msgspec import Struct

from ums.core.transports import webhook_settings
from ums.core.transports.webhook_settings import Authentication, WebhookSettings
from ums.mail import email_account
from ums.mail.email_account import EmailSettings
from ums.mail.outcomes import Encryption

WEBHOOK = "webhook"
Account = EmailSettings | WebhookSettings


class AccountFacts(Struct, frozen=True):
    """What is shown of the settings of any sender. Where a type has no such thing it is empty."""

    host: str
    port: int
    encryption: Encryption
    account: str
    from_address: str = ""
    from_name: str = ""
    url: str | None = None
    authentication: Authentication | None = None
    deduplicates: bool = False


def read(type: str, settings: str) -> Account:
    return webhook_settings.read(settings) if type == WEBHOOK else email_account.read(settings)


def binding(account: Account) -> str:
    """Where the secret may be sent. It is sealed with this, so that whoever changes one of these
    has to know it (reliability.md, threat 3)."""
    if isinstance(account, WebhookSettings):
        return webhook_settings.binding(account)
    return email_account.binding(account)


def facts(account: Account) -> AccountFacts:
    if isinstance(account, EmailSettings):
        return AccountFacts(
            host=account.host,
            port=account.port,
            encryption=account.encryption,
            account=account.account,
            from_address=account.from_address,
            from_name=account.from_name,
        )
    url = httpx.URL(account.url)
    secure = url.scheme == "https"
    return AccountFacts(
        host=url.host,
        port=url.port or (443 if secure else 80),
        encryption=Encryption.SSL if secure else Encryption.NONE,
        account=account.account,
        url=account.url,
        authentication=account.authentication,
        deduplicates=account.deduplicates,
    )
