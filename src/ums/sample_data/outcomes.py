"""What became of made-up deliveries: final states with the attempts that led to them."""

from random import Random
from typing import Final

from msgspec import Struct

from ums import clock
from ums.mail.outcomes import Stage, Verdict


class SampleAttempt(Struct, frozen=True):
    """One try, as the engine would have recorded it."""

    stage: Stage
    verdict: Verdict
    reason: str
    code: int
    enhanced: str
    reply: str


class SampleOutcome(Struct, frozen=True):
    """A final state, and the tries before it."""

    state: str
    reason: str
    attempts: tuple[SampleAttempt, ...]
    delay_ms: int = 0  # from acceptance to the last attempt, beyond the first seconds


_TAKEN: Final = SampleAttempt(
    Stage.DOT, Verdict.SENT, "sent", 250, "2.0.0", "250 2.0.0 Ok: queued as 4bX1Qz"
)
_GREYLISTED: Final = SampleAttempt(
    Stage.RCPT, Verdict.LATER, "greylist", 451, "4.7.1", "451 4.7.1 Greylisted, try again later"
)
_FULL: Final = SampleAttempt(
    Stage.RCPT, Verdict.LATER, "mailbox_full", 452, "4.2.2", "452 4.2.2 The mailbox is over quota"
)
_NO_MAILBOX: Final = SampleAttempt(
    Stage.RCPT, Verdict.REFUSED, "no_such_mailbox", 550, "5.1.1", "550 5.1.1 User unknown"
)
_SPAM: Final = SampleAttempt(
    Stage.DOT, Verdict.REFUSED, "content", 554, "5.7.1", "554 5.7.1 Rejected as spam"
)
_LOST: Final = SampleAttempt(Stage.DOT, Verdict.UNKNOWN, "connection_lost", 0, "", "")

NO_ADDRESS: Final = SampleOutcome("invalid", "no_address", ())
_OUTCOMES: Final = {
    SampleOutcome("sent", "", (_TAKEN,)): 920,
    SampleOutcome("sent", "", (_GREYLISTED, _TAKEN), 6 * clock.MINUTE): 40,
    SampleOutcome("failed", "no_such_mailbox", (_NO_MAILBOX,)): 18,
    SampleOutcome("failed", "content", (_SPAM,)): 4,
    SampleOutcome("expired", "mailbox_full", (_FULL, _FULL, _FULL), 20 * clock.HOUR): 5,
    SampleOutcome("unknown", "unknown_outcome", (_LOST,)): 3,
    SampleOutcome("suppressed", "suppressed", ()): 10,
}


def draw_outcome(random: Random) -> SampleOutcome:
    """Return one, as often as in a healthy installation."""
    return random.choices([*_OUTCOMES], [*_OUTCOMES.values()])[0]
