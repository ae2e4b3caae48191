"""Giving the console a name and a picture of one's own."""

import base64
import hashlib
from typing import Final

from ums.core.audit import audit_log
from ums.core.common import metadata
from ums.core.common.field_errors import all_of
from ums.core.common.names import check_name
from ums.core.context.app_context import AppContext
from ums.core.context.branding_data import LOGO, LOGO_DIGEST, NAME
from ums.db import Tx
from ums.errors import Invalid, NotFound, UmsError

MOST_NAME: Final = 40  # characters
MOST_LOGO: Final = 200_000  # octets
# What a picture begins with. No SVG: that is a program.
_KINDS: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


async def change(
    system: AppContext, *, name: str, logo: bytes | None = None, remove_logo: bool = False
) -> None:
    """Give the console this name ("" is UMS), and the picture, where there is one. Raises
    Invalid."""
    _check_name(name)
    kind = "" if logo is None else _kind(logo)
    async with system.directory.change() as tx:
        before = await _noted(tx)
        await _put(tx, NAME, name)
        if logo is not None or remove_logo:
            text = "" if logo is None else base64.b64encode(logo).decode()
            await _put(tx, LOGO, f"{kind} {text}" if text else "")
            digest = hashlib.sha256(logo).hexdigest()[:16] if logo else ""
            await _put(tx, LOGO_DIGEST, digest)
        after = await _noted(tx)
        await audit_log.note(tx, "brand.change", name or "UMS", before=before, after=after)


def errors_of(name: str, logo: bytes | None) -> list[UmsError]:
    """All that is wrong with a name and a picture."""
    return all_of([lambda: _check_name(name), lambda: None if logo is None else _kind(logo)])


def _check_name(name: str) -> None:
    if name:
        check_name(name, MOST_NAME, "brand")


async def _noted(tx: Tx) -> dict[str, object]:
    """Name and logo for the audit log, which keeps no pictures."""
    return {
        "name": await metadata.value(tx, NAME) or "",
        "logo": await metadata.value(tx, LOGO_DIGEST) or "",
    }


async def picture(system: AppContext) -> tuple[str, bytes]:
    """The picture's type and octets. Raises NotFound where there is none."""
    async with system.database.read() as tx:
        value = await metadata.value(tx, LOGO)
    kind, _, text = (value or "").partition(" ")
    if not text:
        raise NotFound("not_found")
    return kind, base64.b64decode(text)


async def _put(tx: Tx, name: str, value: str) -> None:
    if value:
        await metadata.put(tx, name, value)
    else:
        await metadata.remove(tx, name)


def _kind(logo: bytes) -> str:
    if len(logo) > MOST_LOGO:
        raise Invalid("logo_large", field="logo", limit=MOST_LOGO // 1000)
    for start, kind in _KINDS.items():
        if logo.startswith(start):
            return kind
    raise Invalid("logo_kind", field="logo")
