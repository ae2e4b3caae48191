"""The place in the audit log's chain that this machine saw last, in a file of the data folder.

The file is no part of the database, so whoever reaches only the database cannot put the log back,
or have it sealed anew, without a difference between the two. It is weaker than a checkpoint that
is kept elsewhere: whoever reaches the data folder can remove the file.
"""

import asyncio
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from ums import clock
from ums.config import Settings
from ums.core.common.durable_files import replace_file

FILE: Final = "ums.audit"
Problem = Literal[
    "",
    "changed",
    "missing",
    "cut",
    "forged",
    "witness_missing",
    "witness_differs",
    "checkpoint_missing",
    "checkpoint_removed",
    "checkpoint_differs",
]


class Witness(Struct, frozen=True):
    """What the file holds."""

    seq: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    at: int  # when it was written, in milliseconds
    problem: Problem = ""  # that was found, and that nobody has accepted since


async def read(settings: Settings) -> Witness | None:
    """None where this machine has seen nothing yet, and for a file that is damaged."""
    path = settings.data_dir / FILE
    try:
        return msgspec.json.decode(await asyncio.to_thread(path.read_bytes), type=Witness)
    except (OSError, msgspec.DecodeError):
        return None


async def write(settings: Settings, seq: int, digest: str, problem: Problem = "") -> None:
    """Note the place durably. Raises OSError."""
    content = msgspec.json.encode(Witness(seq, digest, clock.now(), problem))
    await asyncio.to_thread(replace_file, settings.data_dir / FILE, content)
