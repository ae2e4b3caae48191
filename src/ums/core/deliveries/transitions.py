"""The table of legal transitions of a delivery, and the statements that make them.

Every statement that changes a delivery's state is made by `Transition.statement`, whose `$from`
and `$to` are filled in from this table. A test looks for statements that are not, and the
databases of the tests refuse any change that no transition allows.
"""

from typing import Final

from msgspec import Struct

from ums.core.tables.states import HELD, WAITING, DeliveryState, sql_list
from ums.db import Statement

State = DeliveryState
_PARKED: Final = (*WAITING, State.PAUSED)
_DOUBTED: Final = (State.UNKNOWN, State.DEFERRED, State.PAUSED)
_TO_QUEUE: Final = "CASE WHEN tries > 0 THEN 'deferred' ELSE 'queued' END"


class Transition(Struct, frozen=True):
    """One way for a delivery from any of `sources` to any of `targets`, and when it is taken."""

    name: str
    sources: tuple[DeliveryState, ...]
    targets: tuple[DeliveryState, ...]
    when: str
    to: str = ""  # SQL of the target, where neither the statement nor a single target says it

    def statement(self, template: str) -> Statement:
        """Build the statement of `template`: `$from` stands for the sources, `$to` for the target.

        Raises ValueError for a template without `$from`, or without `$to` where the table knows
        the target.
        """
        to = self.to or (f"'{self.targets[0]}'" if len(self.targets) == 1 else "")
        if "$from" not in template or (to and "$to" not in template):
            raise ValueError(f"the statement of {self.name} has to name $from and $to: {template}")
        return Statement(template.replace("$from", sql_list(self.sources)).replace("$to", to))


CLAIM: Final = Transition("claim", WAITING, (State.CLAIMED,), "a worker takes it to send it")
INTEND: Final = Transition(
    "intend",
    (State.CLAIMED,),
    (State.AT_DOT,),
    "the worker is about to pass the point of no return",
)
# Also from `claimed` to `sent`: a verdict is the truth, whatever was lost of the intent before it.
RECORD: Final = Transition(
    "record",
    HELD,
    (*WAITING, State.SENT, State.FAILED, State.UNKNOWN, State.EXPIRED),
    "the attempt ended, or could not be made",
)
RECORD_LATE: Final = Transition(
    "record late", _DOUBTED, (State.SENT,), "the reply came after its worker was given up"
)
RELEASE: Final = Transition(
    "release", HELD, WAITING, "the worker returns it; it certainly was not handed over", _TO_QUEUE
)
RECOVER: Final = Transition(
    "recover", (State.CLAIMED,), WAITING, "its worker ended before handing it over", _TO_QUEUE
)
DECIDE: Final = Transition(
    "decide",
    (State.AT_DOT,),
    (State.DEFERRED, State.UNKNOWN),
    "its worker ended past the point of no return; `on_unknown` decides",
)
EXPIRE: Final = Transition(
    "expire", _PARKED, (State.EXPIRED,), "the lifetime of its message ended first"
)
QUARANTINE: Final = Transition(
    "quarantine", _PARKED, (State.FAILED,), "building its mail crashed too many workers"
)
PAUSE: Final = Transition(
    "pause", (State.CLAIMED, *WAITING), (State.PAUSED,), "its message was paused"
)
RESUME: Final = Transition("resume", (State.PAUSED,), WAITING, "its message was resumed", _TO_QUEUE)
CANCEL: Final = Transition(
    "cancel",
    (State.CLAIMED, *_PARKED),
    (State.CANCELLED, State.UNKNOWN),
    "its message was cancelled, retracted or refused; `unknown` if it may have arrived already",
    "CASE WHEN unknown_count > 0 THEN 'unknown' ELSE 'cancelled' END",
)
CONFIRM: Final = Transition(
    "confirm", _DOUBTED, (State.SENT,), "a report or the Sent folder shows that it was accepted"
)
BOUNCE: Final = Transition(
    "bounce",
    (State.SENT, *_DOUBTED),
    (State.FAILED,),
    "a bounce came back, or a provider reported it",
)
RESOLVE: Final = Transition(
    "resolve", (State.UNKNOWN,), (State.SENT, State.FAILED), "an operator found out", ":state"
)
RESEND: Final = Transition(
    "resend",
    (State.FAILED, State.EXPIRED, State.UNKNOWN),
    WAITING,
    "an operator sends it again",
    _TO_QUEUE,
)

TRANSITIONS: Final = (
    *(CLAIM, INTEND, RECORD, RECORD_LATE, RELEASE, RECOVER, DECIDE, EXPIRE, QUARANTINE),
    *(PAUSE, RESUME, CANCEL, CONFIRM, BOUNCE, RESOLVE, RESEND),
)
LEGAL: Final = frozenset(
    (source, target) for one in TRANSITIONS for source in one.sources for target in one.targets
)
"""Every (from, to) that some transition allows."""
INITIAL: Final = (*(State.QUEUED, State.PAUSED, State.CANCELLED, State.INVALID, State.SUPPRESSED),)
"""The states in which expansion makes a delivery."""
