"""What the console calls itself, and the picture it shows beside it."""

from typing import Final

from msgspec import Struct
from sqlalchemy import select

from ums.core.tables import meta
from ums.db import Tx

NAME: Final = "brand_name"
LOGO: Final = "brand_logo"  # its type, a space, and its octets in base64
LOGO_DIGEST: Final = "brand_logo_digest"


class Brand(Struct, frozen=True):
    """Empty: UMS, with its own mark."""

    name: str = ""
    logo: str = ""  # the digest of its picture


async def load(tx: Tx) -> Brand:
    rows = await tx.rows(select(meta).where(meta.c.name.in_((NAME, LOGO_DIGEST))))
    found = {row.name: row.value for row in rows}
    return Brand(found.get(NAME, ""), found.get(LOGO_DIGEST, ""))
