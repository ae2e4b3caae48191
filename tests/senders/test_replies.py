"""The reply table: what servers in the field say, and what we make of it."""

import csv
import re
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ums.core.reasons import about
from ums.senders.base import Bounce, Outcome, Reply, Schedule, Scope, Stage, Verdict
from ums.senders.replies import (
    REASONS,
    OwnRule,
    hinted_wait,
    interpret,
    interpret_error,
    reread,
    retry_delay,
)
from ums.senders.smtp import Kind, SmtpError
from ums.senders.smtp_reply import ReplyParser

MINUTE, HOUR = 60_000, 3_600_000


def reply(line: str) -> Reply:
    (found,) = ReplyParser().feed(line.encode() + b"\r\n")
    return found


def shape(outcome: Outcome) -> str:
    """Verdict, scope and charge in a word: hold is "later, sender, not charged"."""
    free = not outcome.charged
    if outcome.verdict is Verdict.LATER and outcome.scope is Scope.SENDER and free:
        return "hold"
    words = [outcome.verdict.value, "free" if free else "", outcome.scope.value]
    return " ".join(word for word in words if word not in {"", "delivery"})


# (stage, reply, reason, shape)
TABLE = [
    # the ordinary course
    ("dot", "250 2.0.0 Ok: queued as 4ABC", "sent", "sent"),
    ("dot", "250 Mail OK queued as gzsmtp4", "sent", "sent"),
    ("rcpt", "450 4.2.0 Greylisted, see http://postgrey.schweikert.ch/", "greylist", "later"),
    ("rcpt", "451 4.7.1 Please try again later", "greylist", "later"),
    ("rcpt", "450 4.1.1 something", "temporary", "later"),
    ("dot", "451 4.3.0 Temporary failure", "temporary", "later"),
    ("dot", "421 4.3.2 Service shutting down", "server_closed", "later sender"),
    ("mail", "421 4.4.2 idle", "server_closed", "hold"),
    ("greeting", "421 too busy", "server_busy", "hold"),
    ("ehlo", "450 wait", "server_busy", "hold"),
    ("greeting", "554 5.7.1 go away", "server_refuses_us", "hold"),
    ("greeting", "421 HL:ICC 1.2.3.4", "too_many_connections", "hold"),
    # log-in
    ("auth", "535 5.7.8 Username and Password not accepted", "credentials", "hold"),
    ("auth", "535 Error: authentication failed", "credentials", "hold"),
    (
        "auth",
        "535 Login Fail. Please enter your authorization code to login.",
        "credentials",
        "hold",
    ),
    ("auth", "526 Authentication failure[0]", "credentials", "hold"),
    ("auth", "534 5.7.9 Application-specific password required", "credentials", "hold"),
    ("auth", "550 User has no permission", "credentials", "hold"),
    ("auth", "454 4.7.0 Temporary authentication failure", "login_later", "hold"),
    ("auth", "421 bye", "login_later", "hold"),
    ("auth", "432 4.7.12 transition", "login_later", "hold"),
    (
        "auth",
        "454 4.7.0 Too many login attempts, please try again later",
        "login_too_often",
        "hold",
    ),
    ("auth", "535 5.7.139 Authentication unsuccessful", "password_login_retired", "hold"),
    (
        "auth",
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "password_login_retired",
        "hold",
    ),
    (
        "mail",
        "451 Requested mail action not taken: too much fail authentication",
        "login_too_often",
        "hold",
    ),
    ("mail", "530 5.7.0 Must issue a STARTTLS command first", "credentials", "hold"),
    ("mail", "553 authentication is required", "credentials", "hold"),
    # the sender's address
    ("mail", "553 Mail from must equal authorized user", "sender_refused", "hold"),
    ("mail", "501 Mail from address must be same as authorization user", "sender_refused", "hold"),
    ("dot", '550 The "From" header is missing or invalid', "sender_refused", "hold"),
    ("mail", "440 mail from account doesn't conform with authentication", "sender_refused", "hold"),
    ("mail", '436 "MAIL FROM" doesn\'t conform with authentication', "sender_refused", "hold"),
    ("mail", "550 5.1.8 Access denied, bad outbound sender", "sender_refused", "hold"),
    ("mail", "550 5.7.1 no", "sender_refused", "hold"),
    (
        "dot",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "sender_refused",
        "hold",
    ),
    ("dot", "554 Message rejected: Email address is not verified.", "sender_refused", "hold"),
    ("rcpt", "450 WM:BLI 163 smtp1", "sender_refused", "hold"),
    ("mail", "554 MI:SPB", "sender_refused", "hold"),
    # quotas and rates
    ("dot", "550 5.4.5 Daily user sending quota exceeded. gsmtp", "daily_quota", "hold"),
    ("rcpt", "454 Throttling failure: Daily message quota exceeded.", "daily_quota", "hold"),
    ("rcpt", "454 Throttling failure: Maximum sending rate exceeded.", "rate", "hold"),
    ("dot", "554 MI:STC 163 smtp7", "daily_quota", "hold"),
    (
        "rcpt",
        "504 the number of RCPT attempts is achieved the maximum threshold",
        "daily_quota",
        "hold",
    ),
    ("rcpt", "505 the total of RCPTs is achieved the maximum threshold", "rate", "hold"),
    ("mail", "451 MI:SFQ 163 smtp5", "rate", "hold"),
    ("mail", "421 HL:IFC", "rate", "hold"),
    ("rcpt", "550 Ip frequency limited", "rate", "hold"),
    ("dot", "550 Domain frequency limited [1.2.3.4]", "rate", "hold"),
    ("dot", "550 Sender frequency limited", "rate", "hold"),
    ("mail", "550 Connection frequency limited", "too_many_connections", "hold"),
    ("dot", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "rate", "hold"),
    ("dot", "450 4.7.3 Organization queue quota exceeded.", "rate", "hold"),
    ("dot", "454 Transient reject by behaviour spam", "rate", "hold"),
    ("mail", "450 发送频率过高", "rate", "hold"),
    ("rcpt", "450 4.2.1 The user is receiving mail at a rate that", "recipient_too_busy", "later"),
    ("mail", "450 MI:DMC 163", "connection_used_up", "hold"),
    ("rcpt", "450 RP:DRC 163", "connection_used_up", "hold"),
    ("rcpt", "452 4.5.3 Too many recipients", "too_many_recipients", "later free"),
    ("rcpt", "552 Too many recipients", "too_many_recipients", "later free"),
    # reputation
    ("mail", "421 HL:REP", "blocked_ip", "hold"),
    ("mail", "554 HL:IPB", "blocked_ip", "hold"),
    ("rcpt", "450 DT:RBL", "blocked_ip", "hold"),
    (
        "rcpt",
        "550 5.7.1 Unfortunately, part of their network is on our block list (S3140).",
        "blocked_ip",
        "hold",
    ),
    ("dot", "550 Suspected spam ip", "blocked_ip", "hold"),
    ("dot", "550 5.7.26 This mail is unauthenticated", "domain_setup", "refused"),
    ("dot", "550 5.7.515 Access denied", "domain_setup", "refused"),
    # the recipient
    (
        "rcpt",
        "550 5.1.1 <x@example.org>: Recipient address rejected: User unknown",
        "no_such_mailbox",
        "refused",
    ),
    ("rcpt", "550 Mailbox not found. http://service.mail.qq.com/", "no_such_mailbox", "refused"),
    ("rcpt", "550 Mailbox unavailable or access denied", "no_such_mailbox", "refused"),
    ("rcpt", "550 User not found: x@163.com", "no_such_mailbox", "refused"),
    ("rcpt", "554 RCPT (x@example.org) dosn't exist", "no_such_mailbox", "refused"),
    ("rcpt", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", "no_such_mailbox", "refused"),
    ("rcpt", "550 5.1.6 moved", "no_such_mailbox", "refused"),
    ("rcpt", "551 User not local", "no_such_mailbox", "refused"),
    ("rcpt", "550 用户不存在", "no_such_mailbox", "refused"),
    ("rcpt", "550 No such user here", "no_such_mailbox", "refused"),
    ("rcpt", "550 5.1.2 Bad destination system", "no_such_domain", "refused"),
    ("rcpt", "550 5.4.4 Unable to route", "no_such_domain", "refused"),
    ("rcpt", "556 5.1.10 Recipient address has null MX", "no_such_domain", "refused"),
    ("rcpt", "553 5.1.3 bad", "bad_address", "refused"),
    ("rcpt", "501 bad address syntax", "bad_address", "refused"),
    ("rcpt", "550 5.2.1 disabled", "mailbox_disabled", "refused"),
    ("rcpt", "550 User suspended", "mailbox_disabled", "refused"),
    ("rcpt", "542 This account isn't allowed to receive email", "mailbox_disabled", "refused"),
    ("rcpt", "452 4.2.2 The recipient's inbox is out of storage space", "mailbox_full", "later"),
    ("rcpt", "552 5.2.2 Mailbox full", "mailbox_full", "later"),
    ("dot", "552 mailbox is full", "mailbox_full", "later"),
    ("rcpt", "550 Quota exceeded or service disabled", "mailbox_full", "later"),
    ("rcpt", "450 4.2.1 switched off for now", "mailbox_off", "later"),
    # size, content, policy
    ("mail", "552 5.3.4 Message size exceeds fixed limit", "too_big", "refused"),
    ("mail", "552 too much", "too_big", "refused"),
    ("mail", "552 quota exceeded", "daily_quota", "hold"),
    ("mail", "552 5.2.2 quota exceeded for sender", "daily_quota", "hold"),
    ("mail", "554 发信额度不足", "daily_quota", "hold"),
    ("dot", "552 5.2.3 Your message exceeded Google's message size limits", "too_big", "refused"),
    (
        "dot",
        "510 The length of DATA content is achieved the maximum threshold",
        "too_big",
        "refused",
    ),
    ("mail", "452 4.3.1 Insufficient system storage", "server_storage", "hold"),
    ("rcpt", "452 full", "server_storage", "hold"),
    ("rcpt", "553 5.6.7 not able", "no_smtputf8", "refused"),
    ("dot", "554 DT:SPM 163 smtp3", "content", "refused"),
    ("dot", "451 DT:SPM please try again", "suspicious", "later"),
    ("dot", "554 Reject by content spam", "content", "refused"),
    ("dot", "550 Mail content denied", "content", "refused"),
    ("dot", "551 virus infected mail rejected", "content", "refused"),
    ("dot", "550 5.7.1 policy", "policy", "refused"),
    ("rcpt", "550 5.7.1 Relaying denied", "policy", "refused"),
    ("rcpt", "554 rejected by recipient's rules: blocked", "policy", "refused"),
    ("dot", "554 no", "content", "refused"),
    ("rcpt", "550 hm", "refused", "refused"),
    # protocol
    ("data", "503 5.5.1 RCPT first", "protocol", "later"),
    ("data", "554 no valid recipients", "protocol", "later"),
    ("mail", "500 what", "protocol", "later"),
    ("mail", "299 what", "protocol", "hold"),
    ("tls", "454 TLS not available", "starttls_refused", "hold"),
]


# What servers of the field say, by provider, besides the above.
FIELD = [
    (row["stage"], row["reply"], row["reason"], row["outcome"])
    for row in csv.DictReader(
        Path(__file__).with_name("field_replies.tsv").open(encoding="utf-8", newline=""),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
]


@pytest.mark.parametrize(("stage", "line", "reason", "expected"), [*TABLE, *FIELD])
def test_replies_of_the_field(stage: str, line: str, reason: str, expected: str) -> None:
    outcome = interpret(Stage(stage), reply(line))
    assert (outcome.reason, shape(outcome)) == (reason, expected)
    assert (outcome.stage, outcome.reply) == (Stage(stage), reply(line))


def test_the_field_is_known_well() -> None:
    lines = [line for _, line, _, _ in (*TABLE, *FIELD)]
    assert len(lines) == len(set(lines)) >= 280


def test_what_holds_a_sender_is_not_about_the_recipient_or_the_content() -> None:
    for stage, line, reason, expected in (*TABLE, *FIELD):
        if expected == "hold":
            assert about(reason) not in ("recipient", "content"), line
        if interpret(Stage(stage), reply(line)).bounce is not Bounce.NONE:
            assert about(reason) == "recipient", line


def test_only_true_misses_suppress_an_address() -> None:
    hard = {r for s, line, r, _ in TABLE if interpret(Stage(s), reply(line)).bounce is Bounce.HARD}
    soft = {r for s, line, r, _ in TABLE if interpret(Stage(s), reply(line)).bounce is Bounce.SOFT}
    assert hard == {"no_such_mailbox", "no_such_domain", "bad_address", "mailbox_disabled"}
    assert soft == {"mailbox_full", "mailbox_off"}


@pytest.mark.parametrize(
    ("kind", "stage", "reason", "expected"),
    [
        (Kind.LOST, Stage.DOT, "no_answer", "unknown"),
        (Kind.GARBAGE, Stage.DOT, "no_answer", "unknown"),
        (Kind.LOST, Stage.DATA, "connection_lost", "hold"),
        (Kind.LOST, Stage.TLS, "connection_lost", "hold"),
        (Kind.LOST, Stage.CONNECT, "unreachable", "hold"),
        (Kind.GARBAGE, Stage.RCPT, "protocol", "hold"),
        (Kind.DNS_MISSING, Stage.RESOLVE, "server_unknown", "hold"),
        (Kind.DNS_FAILED, Stage.RESOLVE, "server_unresolved", "hold"),
        (Kind.TLS, Stage.TLS, "tls", "hold"),
        (Kind.TLS, Stage.AUTH, "tls", "hold"),
        (Kind.CAPABILITY, Stage.AUTH, "no_login_method", "hold"),
        (Kind.CAPABILITY, Stage.MAIL, "no_smtputf8", "refused"),
        (Kind.TOO_BIG, Stage.MAIL, "too_big", "refused"),
        (Kind.INVALID, Stage.RCPT, "bad_address", "refused"),
        (Kind.INVALID, Stage.EHLO, "bad_setting", "hold"),
    ],
)
def test_failures_without_a_reply(kind: Kind, stage: Stage, reason: str, expected: str) -> None:
    outcome = interpret_error(SmtpError(kind, stage, "why"))
    assert (outcome.reason, shape(outcome), outcome.detail) == (reason, expected, "why")


def test_a_refusal_is_judged_by_its_reply() -> None:
    error = SmtpError.refused(Stage.RCPT, reply("550 5.1.1 no"))
    assert interpret_error(error) == interpret(Stage.RCPT, reply("550 5.1.1 no"))


@given(
    st.sampled_from(Stage),
    st.integers(200, 599),
    st.from_regex(r"|[245]\.\d{1,3}\.\d{1,3}", fullmatch=True),
    st.text(max_size=300),
)
def test_every_reply_means_something(stage: Stage, code: int, enhanced: str, text: str) -> None:
    outcome = interpret(stage, Reply(code, enhanced, text))
    assert outcome.verdict is not Verdict.UNKNOWN
    assert (outcome.verdict is Verdict.SENT) == (stage is Stage.DOT and 200 <= code < 300)
    assert re.fullmatch(r"[a-z0-9_]+", outcome.reason)
    if 400 <= code < 500:
        assert outcome.verdict is Verdict.LATER or enhanced
    assert outcome.wait is None or 0 <= outcome.wait <= HOUR


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("stage", list(Stage))
def test_every_failure_means_something(kind: Kind, stage: Stage) -> None:
    outcome = interpret_error(SmtpError(kind, stage, ""))
    doubtful = stage is Stage.DOT and kind in {Kind.LOST, Kind.GARBAGE}
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
    assert interpret(Stage.MAIL, reply("451 MI:SFQ")).wait == 15 * MINUTE
    hinted = interpret(Stage.MAIL, reply("451 MI:SFQ try again in 2 minutes"))
    assert hinted.wait == 2 * MINUTE
    assert interpret(Stage.RCPT, reply("450 retry in 5 minutes")).wait == 5 * MINUTE
    assert interpret(Stage.RCPT, reply("550 5.1.1 retry in 5 minutes")).wait is None


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
    full = interpret(Stage.RCPT, reply("552 5.2.2 Mailbox full")).schedule
    assert full is Schedule.MAILBOX
    hours = [(retry_delay(n, full) or 0) / HOUR for n in (1, 2, 3)]
    assert hours == pytest.approx([1, 6, 24], rel=0.21)
    assert retry_delay(4, full) is None
    once = interpret(Stage.DATA, reply("554 no valid recipients")).schedule
    assert retry_delay(1, once) is not None
    assert retry_delay(2, once) is None


def test_an_operators_rule_comes_before_the_table() -> None:
    own = [OwnRule("the MOON", "mailbox_full", "5xx"), OwnRule("moon", "greylist")]
    read = interpret(Stage.RCPT, reply("550 the moon is wrong"))
    again = reread(read, own)
    assert (again.reason, again.schedule, again.reply) == (
        "mailbox_full",
        Schedule.MAILBOX,
        read.reply,
    )
    assert reread(interpret(Stage.RCPT, reply("450 the moon is wrong")), own).reason == "greylist"
    assert reread(interpret(Stage.RCPT, reply("550 the sun")), own).reason == "refused"


def test_no_rule_changes_what_was_taken_or_what_nobody_knows() -> None:
    own = [OwnRule("", reason) for reason in REASONS]
    taken = interpret(Stage.DOT, reply("250 the moon"))
    lost = interpret_error(SmtpError(Kind.LOST, Stage.DOT, "why"))
    assert reread(taken, own) is taken
    assert reread(lost, own) is lost
    assert "sent" not in REASONS
