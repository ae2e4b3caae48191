"""Providers that many have accounts at: their servers, and what they call a password."""

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from ums.mail.outcomes import Encryption
from ums.mail.send_limits import SendLimit


class Preset(Struct, frozen=True, forbid_unknown_fields=True):
    """What choosing a provider fills in, and what it tells; words end in `_en` and `_zh`."""

    en: str
    zh: str
    host: str
    port: int
    encryption: Encryption
    account_en: str
    account_zh: str
    password_en: str
    password_zh: str
    from_en: str
    from_zh: str
    limits_en: str
    limits_zh: str
    caps: tuple[SendLimit, ...] = ()
    quirks_en: str = ""
    quirks_zh: str = ""
    imap: str = ""  # where its mailboxes are, port 993, SSL/TLS; empty: none that we know of

    def name(self, language: str) -> str:
        return self.zh if language == "zh" else self.en

    def about(self, field: str, language: str) -> str:
        """What to put into `field`: account, password or from; and what is known of its `limits`
        and `quirks`, which may be empty."""
        return str(getattr(self, f"{field}_{language}"))


def _load() -> dict[str, Preset]:
    raw = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, Preset])


PRESETS = _load()


def preset_of(host: str) -> Preset | None:
    """The provider whose server this is."""
    return next((one for one in PRESETS.values() if one.host == host.lower()), None)
