"""Which replies say that an address is dead, and so suppress it."""

import pytest

from support.answered import FIELD, TABLE, reply
from ums.core.reporting.reason_texts import about
from ums.mail.outcomes import Bounce, Stage
from ums.mail.reply_classifier import HARD, REASONS, SOFT, classify_reply

ABOUT_THE_ADDRESS = {"no_such_mailbox", "no_such_domain", "bad_address", "mailbox_disabled"}
ABOUT_THE_MAILBOX = {"mailbox_full", "mailbox_off"}


def test_only_what_says_that_the_address_is_dead_suppresses_it() -> None:
    assert ABOUT_THE_ADDRESS == HARD
    assert ABOUT_THE_MAILBOX == SOFT
    for stage, line, reason, _ in (*TABLE, *FIELD):
        outcome = classify_reply(Stage(stage), reply(line))
        bounce = Bounce.HARD if reason in HARD else Bounce.SOFT if reason in SOFT else Bounce.NONE
        assert outcome.bounce is bounce, line
        if bounce is not Bounce.NONE:
            assert stage not in ("greeting", "ehlo", "auth", "mail"), line


def test_every_reason_says_what_it_means_for_the_address() -> None:
    """A new row of the table cannot suppress by the way: its reason stands here as well."""
    of_the_address = {reason for reason in REASONS if about(reason) == "recipient"}
    assert of_the_address - HARD - SOFT == {"recipient_too_busy"}
    assert of_the_address >= HARD | SOFT


@pytest.mark.parametrize("subject", [3, 4, 6, 7])
def test_no_words_of_a_mailbox_count_under_a_status_of_something_else(subject: int) -> None:
    for line in ("no such user", "user unknown", "mailbox disabled", "bad address"):
        for code in (550, 551, 553, 554, 501, 556):
            for detail in range(20):
                text = f"{code} 5.{subject}.{detail} {line}"
                assert classify_reply(Stage.RCPT, reply(text)).bounce is not Bounce.HARD, text


@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.DATA, Stage.DOT])
@pytest.mark.parametrize(
    "line",
    [
        "550 relay not permitted, user unknown",
        "550 5.1.1 mail transport unavailable",
        "550 5.1.1 relaying denied",
        "554 5.1.0 unable to relay for b@example.org: user unknown",
        "550 5.1.1 mail system loop, no such user",
    ],
)
def test_words_of_the_server_itself_suppress_no_address(stage: Stage, line: str) -> None:
    assert classify_reply(stage, reply(line)).bounce is not Bounce.HARD


def test_a_table_of_relayed_recipients_speaks_of_the_address() -> None:
    line = "550 5.1.1 <b@x.org>: Recipient address rejected: User unknown in relay recipient table"
    assert classify_reply(Stage.RCPT, reply(line)).bounce is Bounce.HARD
