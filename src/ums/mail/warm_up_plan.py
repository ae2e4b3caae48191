"""The plan by which a new account is warmed up: one more cap, by the day, that grows."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ums.mail.send_limits import DAY, SendLimit


class WarmUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a sender is to be warmed up."""

    start: Annotated[int, Meta(ge=1, le=10**6, description="Mails on the first day.")] = 50
    growth: Annotated[
        int, Meta(ge=1, le=200, description="Percent more each day that went well.")
    ] = 50
    target: Annotated[int, Meta(ge=1, le=10**7, description="Mails a day at which it ends.")]
    zone: Annotated[str, Meta(max_length=60, description="By whose clock days are counted.")] = (
        "Asia/Shanghai"
    )

    def cap(self, count: int) -> SendLimit:
        """Today's limit."""
        return SendLimit(count=count, seconds=DAY, reset=f"00:00 {self.zone}")

    def after(self, count: int) -> int:
        """How many a day follow so many."""
        return min(self.target, max(count + 1, count * (100 + self.growth) // 100))


def caps_with(
    caps: tuple[SendLimit, ...], warm_up: str | None, count: int
) -> tuple[SendLimit, ...]:
    """A sender's caps, with today's of its warm-up. Of two that count alike the smaller holds."""
    if warm_up is None:
        return caps
    mine = read(warm_up).cap(count)
    least = min([count, *(cap.count for cap in caps if cap.key == mine.key)])
    others = tuple(cap for cap in caps if cap.key != mine.key)
    return (*others, msgspec.structs.replace(mine, count=least))


def read(text: str) -> WarmUp:
    """As it is stored."""
    return msgspec.json.decode(text, type=WarmUp)
