"""Retry policy: derives a delivery's next state from an outcome (reliability.md 4.1, 4.2)."""

from msgspec import Struct

from ums.core.deliveries.queue import FIRST_STEP, Attempt, Claimed, Result, in_doubt
from ums.core.tables.states import DeliveryState
from ums.mail.outcomes import Outcome, Reply, Schedule, Scope, Stage, Verdict
from ums.mail.reply_classifier import retry_delay

MIN_PAUSE = 30_000  # ms between two uncharged tries of one delivery
FREE_TRIES = 5
USED_UP = "connection_used_up"
BROKEN = ("connection_lost", USED_UP, "server_closed", "protocol")
"""Reasons that concern only the connection."""
_LATE = (Stage.MAIL, Stage.RCPT, Stage.DATA)


class Rules(Struct, frozen=True):
    """Settings of a message for the retries of its deliveries."""

    on_unknown: str
    expires_at: int
    doubt_pause: int = FIRST_STEP  # ms from an unknown outcome to the second try
    event_mask: int = 0  # events sent to its callback (core.webhooks.outbox)


class Timing(Struct, frozen=True):
    """Start, end and duration of an attempt (ms)."""

    started_at: int
    ended_at: int
    duration_ms: int


def settle(
    claimed: Claimed, sender_id: int, outcome: Outcome, rules: Rules, timing: Timing
) -> Result:
    """Return the result to store for `claimed` after this outcome."""
    counted_tries = claimed.counted_tries + (outcome.charged or _wears_out(claimed, outcome))
    state, due, unknown_count = _next(claimed, outcome, rules, counted_tries, timing.ended_at)
    return Result(
        id=claimed.id,
        epoch=claimed.epoch,
        state=state,
        reason="" if state == DeliveryState.SENT else outcome.reason,
        due_at=due,
        counted_tries=counted_tries,
        tries=claimed.tries + 1,
        unknown_count=unknown_count,
        attempt=_attempt(sender_id, outcome, timing),
        event_mask=rules.event_mask,
    )


def expired(claimed: Claimed, now: int, event_mask: int = 0) -> Result:
    """Return the result of a delivery whose message expired before an attempt could be made."""
    return _untried(claimed, DeliveryState.EXPIRED, "expired", now, event_mask)


def unsendable(claimed: Claimed, reason: str, now: int, event_mask: int = 0) -> Result:
    """Return the result of a delivery that cannot be sent because its mail cannot be built."""
    return _untried(claimed, DeliveryState.FAILED, reason, now, event_mask)


def paced(claimed: Claimed, due: int, rules: Rules) -> Result:
    """Return the result of a delivery that the throttle of the recipient's domain postpones."""
    state = DeliveryState.DEFERRED if claimed.tries else DeliveryState.QUEUED
    return _untried(claimed, state, "domain_rate", min(due, rules.expires_at), rules.event_mask)


def _untried(
    claimed: Claimed, state: DeliveryState, reason: str, now: int, event_mask: int
) -> Result:
    return Result(
        id=claimed.id,
        epoch=claimed.epoch,
        state=state,
        reason=reason,
        due_at=now,
        counted_tries=claimed.counted_tries,
        tries=claimed.tries,
        unknown_count=claimed.unknown_count,
        attempt=None,
        event_mask=event_mask,
    )


def defect(stage: Stage) -> Outcome:
    """Return the outcome of an attempt that raised an unexpected exception (which is logged).

    At the dot, the outcome is unknown. Before the dot, the delivery is retried by its schedule. If
    no session was opened, the attempt is not charged and the sender gets a cooldown.
    """
    verdict = Verdict.UNKNOWN if stage is Stage.DOT else Verdict.LATER
    opening = stage is Stage.CONNECT
    return Outcome(
        verdict=verdict,
        stage=stage,
        reason="engine_error",
        scope=Scope.SENDER if opening else Scope.DELIVERY,
        charged=not opening,
    )


def _wears_out(claimed: Claimed, outcome: Outcome) -> bool:
    """Return True if a free attempt is to be charged after all.

    A mail that breaks one connection after another is itself the cause, and must not be retried
    indefinitely.
    """
    free = claimed.tries - claimed.counted_tries
    return outcome.reason in BROKEN and outcome.stage in _LATE and free >= FREE_TRIES


def _next(
    claimed: Claimed, outcome: Outcome, rules: Rules, counted_tries: int, now: int
) -> tuple[DeliveryState, int, int]:
    """Return (state, due time in ms, unknown_count)."""
    if outcome.verdict is Verdict.SENT:
        return DeliveryState.SENT, now, claimed.unknown_count
    if outcome.verdict is Verdict.REFUSED:
        return DeliveryState.FAILED, now, claimed.unknown_count
    if outcome.verdict is Verdict.UNKNOWN:
        due = now + rules.doubt_pause
        if in_doubt(rules.on_unknown, claimed.unknown_count, due, rules.expires_at):
            return DeliveryState.DEFERRED, due, claimed.unknown_count + 1
        return DeliveryState.UNKNOWN, now, claimed.unknown_count
    delay = _delay(outcome, counted_tries, free=counted_tries == claimed.counted_tries)
    if delay is None:
        # The short schedules end before the message's lifetime, and their end is a failure.
        ended = (
            DeliveryState.EXPIRED if outcome.schedule is Schedule.USUAL else DeliveryState.FAILED
        )
        return ended, now, claimed.unknown_count
    if now + delay >= rules.expires_at:
        return DeliveryState.EXPIRED, now, claimed.unknown_count
    return DeliveryState.DEFERRED, now + delay, claimed.unknown_count


def _delay(outcome: Outcome, counted_tries: int, *, free: bool) -> int | None:
    hint = outcome.wait or 0
    if free:
        # The sender's cooldown decides when sending continues; the pause only prevents endless
        # attempts of one bad delivery.
        return MIN_PAUSE if outcome.scope is Scope.SENDER else max(hint, MIN_PAUSE)
    delay = retry_delay(counted_tries, outcome.schedule)
    return None if delay is None else max(hint, delay)


def _attempt(sender_id: int, outcome: Outcome, timing: Timing) -> Attempt:
    reply = outcome.reply or Reply(0, "", outcome.detail)
    return Attempt(
        sender_id=sender_id,
        started_at=timing.started_at,
        duration_ms=timing.duration_ms,
        stage=outcome.stage,
        verdict=outcome.verdict,
        reason=outcome.reason,
        code=reply.code,
        enhanced=reply.enhanced,
        # PostgreSQL does not accept NUL in text, and replies are hostile input.
        reply=reply.text.replace("\x00", "")[:1000],
    )
