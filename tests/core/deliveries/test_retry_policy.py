"""From an attempt's outcome to a delivery's next state: the table of reliability.md 4.1 and 4.2."""

import pytest

from ums import clock
from ums.core.deliveries import retry_policy
from ums.core.deliveries.queue import Claimed, Result
from ums.core.deliveries.retry_policy import FREE_TRIES, MIN_PAUSE, Rules, Timing, settle
from ums.core.tables.states import OnUnknown
from ums.mail.outcomes import Outcome, Reply, Schedule, Scope, Stage, Verdict

NOW = 1_700_000_000_000
TIMING = Timing(NOW - 40, NOW, 40)


def claimed(charged: int = 0, tries: int | None = None, unknown_count: int = 0) -> Claimed:
    return Claimed(
        7, 3, "a@example.cn", 5, charged, charged if tries is None else tries, unknown_count
    )


def rules(on_unknown: str = OnUnknown.RESEND, life: int = 72 * clock.HOUR) -> Rules:
    return Rules(on_unknown, NOW + life, 75_000)


def outcome(
    verdict: Verdict, reason: str = "x", stage: Stage = Stage.RCPT, **more: object
) -> Outcome:
    return Outcome(verdict, stage, reason, **more)  # type: ignore[arg-type]


def after(found: Outcome, row: Claimed | None = None, given: Rules | None = None) -> Result:
    return settle(row or claimed(), 2, found, given or rules(), TIMING)


def test_sent_is_sent_with_its_reply() -> None:
    found = outcome(Verdict.SENT, "sent", Stage.DOT, reply=Reply(250, "2.0.0", "queued as 1"))
    result = after(found, claimed(2, 3))
    assert (result.id, result.epoch, result.state, result.reason) == (7, 5, "sent", "")
    assert (result.tries, result.due_at) == (4, NOW)
    attempt = result.attempt
    assert attempt is not None
    assert (attempt.sender_id, attempt.stage, attempt.verdict) == (2, "dot", "sent")
    assert (attempt.code, attempt.enhanced, attempt.reply) == (250, "2.0.0", "queued as 1")
    assert (attempt.started_at, attempt.duration_ms) == (NOW - 40, 40)


def test_refused_is_failed_with_the_reason() -> None:
    result = after(outcome(Verdict.REFUSED, "no_such_mailbox"))
    assert (result.state, result.reason) == ("failed", "no_such_mailbox")


@pytest.mark.parametrize(
    ("n", "seconds"),
    [(1, 75), (2, 300), (3, 600), (6, 5400), (8, 21600), (9, 43200), (13, 43200)],
)
def test_temporary_failures_go_by_the_schedule(n: int, seconds: int) -> None:
    result = after(outcome(Verdict.LATER), claimed(n - 1))
    assert (result.state, result.counted_tries) == ("deferred", n)
    assert 0.8 * seconds <= (result.due_at - NOW) / 1000 <= 1.2 * seconds


def test_the_schedules_end() -> None:
    assert after(outcome(Verdict.LATER), claimed(13)).state == "expired"
    mailbox = outcome(Verdict.LATER, "mailbox_full", schedule=Schedule.MAILBOX)
    assert after(mailbox, claimed(2)).state == "deferred"
    assert after(mailbox, claimed(3)).state == "failed"
    once = outcome(Verdict.LATER, "protocol", schedule=Schedule.ONCE)
    assert after(once, claimed(0)).state == "deferred"
    assert after(once, claimed(1)).state == "failed"


def test_no_retry_is_planned_for_after_the_messages_end() -> None:
    result = after(outcome(Verdict.LATER, "greylist"), given=rules(life=50_000))
    assert (result.state, result.reason) == ("expired", "greylist")
    free = outcome(Verdict.LATER, scope=Scope.SENDER, charged=False)
    assert after(free, given=rules(life=MIN_PAUSE)).state == "expired"


def test_a_hint_is_the_least() -> None:
    hinted = outcome(Verdict.LATER, wait=3_600_000)
    assert after(hinted).due_at == NOW + 3_600_000
    late = after(outcome(Verdict.LATER, wait=1_000))
    assert late.due_at > NOW + 50_000


def test_what_is_the_senders_fault_costs_the_delivery_nothing() -> None:
    found = outcome(Verdict.LATER, "unreachable", Stage.CONNECT, scope=Scope.SENDER, charged=False)
    result = after(found, claimed(2, 9))
    assert (result.state, result.counted_tries, result.tries) == ("deferred", 2, 10)
    assert result.due_at == NOW + MIN_PAUSE


def test_a_mail_that_breaks_connections_is_charged_in_the_end() -> None:
    found = outcome(Verdict.LATER, "connection_lost", Stage.DATA, scope=Scope.SENDER, charged=False)
    assert after(found, claimed(0, FREE_TRIES - 1)).counted_tries == 0
    result = after(found, claimed(0, FREE_TRIES))
    assert result.counted_tries == 1
    assert result.due_at >= NOW + 60_000
    assert after(found, claimed(13, FREE_TRIES + 13)).state == "expired"


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.GREETING, Stage.AUTH])
def test_an_outage_is_never_charged(stage: Stage) -> None:
    found = outcome(Verdict.LATER, "connection_lost", stage, scope=Scope.SENDER, charged=False)
    assert after(found, claimed(0, 500)).counted_tries == 0


def test_doubt_is_resolved_by_policy_and_once() -> None:
    found = outcome(Verdict.UNKNOWN, "no_answer", Stage.DOT)
    first = after(found)
    assert (first.state, first.unknown_count, first.due_at) == ("deferred", 1, NOW + 75_000)
    assert after(found, claimed(1, unknown_count=1)).state == "unknown"
    held = after(found, given=rules(OnUnknown.HOLD))
    assert (held.state, held.unknown_count, held.reason) == ("unknown", 0, "no_answer")
    assert after(found, given=rules(life=60_000)).state == "unknown"


def test_hostile_replies_are_cut_and_cleaned() -> None:
    found = outcome(Verdict.LATER, reply=Reply(450, "", "a\x00b" + "c" * 5000))
    attempt = after(found).attempt
    assert attempt is not None
    assert attempt.reply.startswith("a\ufffdbccc")
    assert len(attempt.reply) == 1000


def test_what_cannot_be_tried_has_no_attempt() -> None:
    for result in (
        retry_policy.expired(claimed(1, 2), NOW),
        retry_policy.unsendable(claimed(1, 2), "content_unusable", NOW),
    ):
        assert result.attempt is None
        assert (result.counted_tries, result.tries) == (1, 2)


def test_a_defect_never_doubles_and_never_loses() -> None:
    at_dot = retry_policy.defect(Stage.DOT)
    assert after(at_dot, given=rules(OnUnknown.HOLD)).state == "unknown"
    before = retry_policy.defect(Stage.DATA)
    result = after(before)
    assert (result.state, result.counted_tries) == ("deferred", 1)
    assert result.attempt is not None
    assert result.attempt.reply == ""  # what it was stands in the log alone
    opening = retry_policy.defect(Stage.CONNECT)
    assert (opening.scope, opening.charged) == (Scope.SENDER, False)
