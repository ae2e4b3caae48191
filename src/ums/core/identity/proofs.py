"""What somebody has proved, good for as long as it is still so.

A password is verified outside of any transaction, as that takes its time, and a code comes minutes
later. Meanwhile the password may be changed, the second factor set or reset, and the operator
disabled. So a proof carries what it was verified against, and whatever rests on it, such as a new
session, calls `hold` in the transaction that makes it: the operator's row cannot change between
the two.
"""

import hashlib
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import select

from ums.core.tables import operators
from ums.db import Tx
from ums.errors import NotAuthenticated

NO_FACTOR: Final = ""


class Proof(Struct, frozen=True):
    """That somebody knows an operator's password, and has the second factor."""

    operator_id: int
    password: str  # the mark of the stored hash that it fits
    factor: str = NO_FACTOR  # the mark of the stored secret that the code fits


def of_password(row: Any) -> Proof:
    """What a right password proves, of the row whose hash it fits."""
    return Proof(row.id, _mark(row.password_hash))


def with_factor(proof: Proof, row: Any) -> Proof:
    """The same with a right code, of the row whose secret it fits."""
    return Proof(proof.operator_id, proof.password, _mark(row.totp))


async def hold(tx: Tx, proof: Proof) -> Any:
    """The operator's row, which stays as it is until the transaction ends. Raises NotAuthenticated
    where it is not as it was verified: so also for a password alone where there is a factor."""
    mine = operators.c.id == proof.operator_id
    row = await tx.first(select(operators).where(mine).with_for_update(read=True))
    check(row, proof)
    if proof.factor != (NO_FACTOR if row.totp is None else _mark(row.totp)):
        raise NotAuthenticated("proof_over")
    return row


def check(row: Any, proof: Proof) -> None:
    """Raises NotAuthenticated for another password, and for whoever may not sign in any more."""
    if row is None or row.disabled or _mark(row.password_hash) != proof.password:
        raise NotAuthenticated("proof_over")


def _mark(stored: str) -> str:
    return hashlib.blake2b(stored.encode(), digest_size=16).hexdigest()
