"""The states of deliveries and messages, and the small vocabularies stored beside them.

Members are stored and shown by their values. How a delivery gets from one state to another is in
`core.deliveries.transitions`; their meaning for users is in docs/reference/delivery-states.md.
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import Final


class DeliveryState(StrEnum):
    """Where a delivery stands (reliability.md 2.1)."""

    QUEUED = "queued"  # waits for its first attempt
    CLAIMED = "claimed"  # a worker has it; nothing irrevocable has happened
    AT_DOT = "at_dot"  # past the point of no return, without a reply yet
    DEFERRED = "deferred"  # was attempted, and is tried again at `due_at`
    PAUSED = "paused"  # waits for its message to be resumed
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"  # handed over, and nobody knows whether it was accepted
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"  # has no recipient: no address, blocked, a duplicate


class MessageState(StrEnum):
    """Where a message stands, as it is shown: its halt, or how far its deliveries are."""

    SCHEDULED = "scheduled"
    ACCEPTED = "accepted"
    EXPANDING = "expanding"
    SENDING = "sending"
    DONE = "done"
    APPROVAL = "approval"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    RETRACTED = "retracted"
    REFUSED = "refused"


class Halt(StrEnum):
    """Why a message is not sent; a message that is sent has none ("")."""

    APPROVAL = "approval"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    RETRACTED = "retracted"
    REFUSED = "refused"


class Expansion(StrEnum):
    """Whether a message's audience has become deliveries: the column `messages.state`."""

    ACCEPTED = "accepted"
    EXPANDED = "expanded"


class Priority(IntEnum):
    """The order of deliveries that are due; lower numbers go first."""

    URGENT = 1  # may use the whole of a sender's cap
    NORMAL = 2
    BULK = 3


class OnUnknown(StrEnum):
    """What happens to a delivery whose outcome is unknown."""

    HOLD = "hold"  # it becomes `unknown`
    RESEND = "resend"  # it is sent once more


class EventType(IntEnum):
    """What a callback record reports of a delivery (ums-spec 5.4); the numbers are the hosted
    UMS's."""

    VALID = 0
    INVALID = 1
    SUBMITTED = 2
    SUBMISSION_FAILED = 3
    DELIVERED = 4
    DELIVERY_FAILED = 5
    CLICKED = 6
    RETRACTED = 7
    RETRACTION_FAILED = 8


WAITING: Final = (DeliveryState.QUEUED, DeliveryState.DEFERRED)
HELD: Final = (DeliveryState.CLAIMED, DeliveryState.AT_DOT)
OPEN: Final = (*WAITING, DeliveryState.PAUSED, *HELD)
FINAL: Final = (
    DeliveryState.SENT,
    DeliveryState.FAILED,
    DeliveryState.UNKNOWN,
    DeliveryState.EXPIRED,
    DeliveryState.CANCELLED,
    DeliveryState.SUPPRESSED,
    DeliveryState.INVALID,
)
NEVER_VALID: Final = (DeliveryState.INVALID, DeliveryState.SUPPRESSED)
LOST: Final = (
    *NEVER_VALID,
    DeliveryState.FAILED,
    DeliveryState.EXPIRED,
    DeliveryState.UNKNOWN,
    DeliveryState.CANCELLED,
)
ENDED: Final = (Halt.CANCELLED, Halt.RETRACTED, Halt.REFUSED)
"""The halts that are for good."""


PENDING: Final = "pending"
"""What counts of a message call recipients that have no delivery yet."""


def sql_list(states: Iterable[str]) -> str:
    """Quote the states for `state IN (...)`."""
    return ", ".join(f"'{state}'" for state in states)
