"""The reply table: what servers in the field say, and what we make of it."""

import re
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.answered import FIELD, TABLE, reply
from ums.core.reporting.reason_texts import about
from ums.mail.outcomes import Bounce, Outcome, Reply, Schedule, Scope, Stage, Verdict
from ums.mail.reply_classifier import (
    REASONS,
    OwnRule,
    classify_error,
    classify_reply,
    hinted_wait,
    reread,
    retry_delay,
)
from ums.mail.smtp.session import SmtpError, SmtpErrorKind

MINUTE, HOUR = 60_000, 3_600_000


def shape(outcome: Outcome) -> str:
    """Verdict, scope and charge in a word: hold is "later, sender, not charged"."""
    free = not outcome.charged
    if outcome.verdict is Verdict.LATER and outcome.scope is Scope.SENDER and free:
        return "hold"
    words = [outcome.verdict.value, "free" if free else "", outcome.scope.value]
    return " ".join(word for word in words if word not in {"", "delivery"})


# (stage, reply, reason, shape)


@pytest.mark.parametrize(("stage", "line", "reason", "expected"), [*TABLE, *FIELD])
def test_replies_of_the_field(stage: str, line: str, reason: str, expected: str) -> None:
    outcome = classify_reply(Stage(stage), reply(line))
    assert (outcome.reason, shape(outcome)) == (reason, expected)
    assert (outcome.stage, outcome.reply) == (Stage(stage), reply(line))


def test_the_field_is_known_well() -> None:
    lines = [line for _, line, _, _ in (*TABLE, *FIELD)]
    assert len(lines) == len(set(lines)) >= 280


def test_what_holds_a_sender_is_not_about_the_recipient_or_the_content() -> None:
    for stage, line, reason, expected in (*TABLE, *FIELD):
        if expected == "hold":
            assert about(reason) not in ("recipient", "content"), line
        if classify_reply(Stage(stage), reply(line)).bounce is not Bounce.NONE:
            assert about(reason) == "recipient", line


@pytest.mark.parametrize(
    ("kind", "stage", "reason", "expected"),
    [
        (SmtpErrorKind.LOST, Stage.DOT, "no_answer", "unknown"),
        (SmtpErrorKind.GARBAGE, Stage.DOT, "no_answer", "unknown"),
        (SmtpErrorKind.LOST, Stage.DATA, "connection_lost", "hold"),
        (SmtpErrorKind.LOST, Stage.TLS, "connection_lost", "hold"),
        (SmtpErrorKind.LOST, Stage.CONNECT, "unreachable", "hold"),
        (SmtpErrorKind.GARBAGE, Stage.RCPT, "protocol", "hold"),
        (SmtpErrorKind.DNS_MISSING, Stage.RESOLVE, "server_unknown", "hold"),
        (SmtpErrorKind.DNS_FAILED, Stage.RESOLVE, "server_unresolved", "hold"),
        (SmtpErrorKind.TLS, Stage.TLS, "tls", "hold"),
        (SmtpErrorKind.TLS, Stage.AUTH, "tls", "hold"),
        (SmtpErrorKind.CAPABILITY, Stage.AUTH, "no_login_method", "hold"),
        (SmtpErrorKind.CAPABILITY, Stage.MAIL, "no_smtputf8", "refused"),
        (SmtpErrorKind.TOO_BIG, Stage.MAIL, "too_big", "refused"),
        (SmtpErrorKind.INVALID, Stage.RCPT, "bad_address", "refused"),
        (SmtpErrorKind.INVALID, Stage.EHLO, "bad_setting", "hold"),
    ],
)
def test_failures_without_a_reply(
    kind: SmtpErrorKind, stage: Stage, reason: str, expected: str
) -> None:
    outcome = classify_error(SmtpError(kind, stage, "why"))
    assert (outcome.reason, shape(outcome), outcome.detail) == (reason, expected, "why")


def test_a_refusal_is_judged_by_its_reply() -> None:
    error = SmtpError.refused(Stage.RCPT, reply("550 5.1.1 no"))
    assert classify_error(error) == classify_reply(Stage.RCPT, reply("550 5.1.1 no"))


@given(
    st.sampled_from(Stage),
    st.integers(200, 599),
    st.from_regex(r"|[245]\.\d{1,3}\.\d{1,3}", fullmatch=True),
    st.text(max_size=300),
)
def test_every_reply_means_something(stage: Stage, code: int, enhanced: str, text: str) -> None:
    outcome = classify_reply(stage, Reply(code, enhanced, text))
    assert outcome.verdict is not Verdict.UNKNOWN
    assert (outcome.verdict is Verdict.SENT) == (stage is Stage.DOT and 200 <= code < 300)
    assert re.fullmatch(r"[a-z0-9_]+", outcome.reason)
    if 400 <= code < 500:
        assert outcome.verdict is Verdict.LATER or enhanced
    assert outcome.wait is None or 0 <= outcome.wait <= HOUR


@pytest.mark.parametrize("kind", list(SmtpErrorKind))
@pytest.mark.parametrize("stage", list(Stage))
def test_every_failure_means_something(kind: SmtpErrorKind, stage: Stage) -> None:
    outcome = classify_error(SmtpError(kind, stage, ""))
    doubtful = stage is Stage.DOT and kind in {SmtpErrorKind.LOST, SmtpErrorKind.GARBAGE}
    assert (outcome.verdict is Verdict.UNKNOWN) == doubtful
    assert outcome.verdict is not Verdict.SENT


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("Greylisted, please try again in 5 minutes", 5 * MINUTE),
        ("try again in 300 seconds", 5 * MINUTE),
        ("Greylisting in action, come back in 00:04:30", 270_000),
        ("retry in 45s", 45_000),
        ("Try again after 1 hour", HOUR),
        ("please wait 3 hrs", HOUR),  # never more than an hour
        ("try again in 99999 minutes", HOUR),
        ("请在5分钟后重试", 5 * MINUTE),
        ("请10分钟后再试", 10 * MINUTE),
        ("请30秒后再试", 30_000),
        ("try again later, reference 550 sx12", None),
        ("try again later", None),
        ("mailbox 5 minutes", None),
        ("", None),
    ],
)
def test_hints(text: str, wait: int | None) -> None:
    assert hinted_wait(text) == wait


def test_a_hint_replaces_the_wait_of_the_table() -> None:
    assert classify_reply(Stage.MAIL, reply("451 MI:SFQ")).wait == 15 * MINUTE
    hinted = classify_reply(Stage.MAIL, reply("451 MI:SFQ try again in 2 minutes"))
    assert hinted.wait == 2 * MINUTE
    assert classify_reply(Stage.RCPT, reply("450 retry in 5 minutes")).wait == 5 * MINUTE
    assert classify_reply(Stage.RCPT, reply("550 5.1.1 retry in 5 minutes")).wait is None


def test_the_usual_schedule_lasts_72_hours() -> None:
    means = [statistics.fmean(retry_delay(n) or 0 for _ in range(400)) for n in range(1, 14)]
    expected = [75_000, *(m * MINUTE for m in (5, 10, 20, 40, 90)), 3 * HOUR, 6 * HOUR]
    expected += [12 * HOUR] * 5
    assert means == pytest.approx(expected, rel=0.05)
    assert sum(expected) == pytest.approx(71.8 * HOUR, rel=0.01)
    assert retry_delay(14) is None


def test_jitter_stays_within_a_fifth() -> None:
    delays = [retry_delay(2) or 0 for _ in range(1000)]
    assert 0.8 * 5 * MINUTE <= min(delays) < max(delays) <= 1.2 * 5 * MINUTE
    assert max(delays) - min(delays) > 0.3 * 5 * MINUTE


def test_other_schedules() -> None:
    full = classify_reply(Stage.RCPT, reply("552 5.2.2 Mailbox full")).schedule
    assert full is Schedule.MAILBOX
    hours = [(retry_delay(n, full) or 0) / HOUR for n in (1, 2, 3)]
    assert hours == pytest.approx([1, 6, 24], rel=0.21)
    assert retry_delay(4, full) is None
    once = classify_reply(Stage.DATA, reply("554 no valid recipients")).schedule
    assert retry_delay(1, once) is not None
    assert retry_delay(2, once) is None


def test_an_operators_rule_comes_before_the_table() -> None:
    own = [OwnRule("the MOON", "mailbox_full", "5xx"), OwnRule("moon", "greylist")]
    read = classify_reply(Stage.RCPT, reply("550 the moon is wrong"))
    again = reread(read, own)
    assert (again.reason, again.schedule, again.reply) == (
        "mailbox_full",
        Schedule.MAILBOX,
        read.reply,
    )
    assert (
        reread(classify_reply(Stage.RCPT, reply("450 the moon is wrong")), own).reason == "greylist"
    )
    assert reread(classify_reply(Stage.RCPT, reply("550 the sun")), own).reason == "refused"


def test_no_rule_changes_what_was_taken_or_what_nobody_knows() -> None:
    own = [OwnRule("", reason) for reason in REASONS]
    taken = classify_reply(Stage.DOT, reply("250 the moon"))
    lost = classify_error(SmtpError(SmtpErrorKind.LOST, Stage.DOT, "why"))
    assert reread(taken, own) is taken
    assert reread(lost, own) is lost
    assert "sent" not in REASONS
