"""What a receiver's answer does to the delivery and to its sender."""

import ssl

import httpcore
import pytest

from ums.core.net.ssrf_guard import Denied
from ums.core.reporting.reason_texts import REASONS
from ums.core.transports.webhook_outcomes import judge, silence, unreached
from ums.mail.outcomes import Bounce, Reply, Scope, Stage, Verdict

HELD = (Verdict.LATER, Scope.SENDER, False)
AGAIN = (Verdict.LATER, Scope.DELIVERY, True)
FAILED = (Verdict.REFUSED, Scope.DELIVERY, True)
UNKNOWN = (Verdict.UNKNOWN, Scope.DELIVERY, True)
SENT = (Verdict.SENT, Scope.DELIVERY, True)


@pytest.mark.parametrize(
    ("code", "effect", "reason"),
    [
        (200, SENT, "sent"),
        (204, SENT, "sent"),
        (301, HELD, "webhook_moved"),
        (400, FAILED, "webhook_refused"),
        (401, HELD, "webhook_credentials"),
        (403, HELD, "webhook_credentials"),
        (404, AGAIN, "webhook_failed"),
        (405, AGAIN, "webhook_failed"),
        (407, HELD, "webhook_credentials"),
        (408, AGAIN, "webhook_failed"),
        (409, FAILED, "webhook_refused"),
        (410, HELD, "webhook_gone"),
        (413, FAILED, "webhook_refused"),
        (422, FAILED, "webhook_refused"),
        (429, HELD, "rate"),
        (500, AGAIN, "webhook_failed"),
        (502, AGAIN, "webhook_failed"),
        (503, HELD, "server_busy"),
        (504, UNKNOWN, "no_answer"),
        (999, AGAIN, "webhook_failed"),
    ],
)
def test_an_answer(code: int, effect: tuple[Verdict, Scope, bool], reason: str) -> None:
    outcome = judge(Reply(code, "", "words"), 0, deduplicates=False)
    assert (outcome.verdict, outcome.scope, outcome.charged) == effect
    assert outcome.reason == reason
    assert reason in REASONS
    assert outcome.reply == Reply(code, "", "words")
    assert outcome.bounce is Bounce.NONE


@pytest.mark.parametrize("code", [401, 404, 408, 429, 500, 503])
def test_retry_after_is_kept_to(code: int) -> None:
    assert judge(Reply(code, "", ""), 7_000, deduplicates=False).wait == 7_000
    assert judge(Reply(code, "", ""), 0, deduplicates=False).wait is None


def test_a_receiver_that_deduplicates_gets_what_it_did_not_answer_again() -> None:
    assert silence("cut", deduplicates=False).verdict is Verdict.UNKNOWN
    assert silence("cut", deduplicates=True).verdict is Verdict.LATER
    assert judge(Reply(504, "", ""), 0, deduplicates=True).verdict is Verdict.LATER


def test_only_an_unanswered_delivery_is_at_the_dot() -> None:
    assert silence("", deduplicates=False).stage is Stage.DOT
    assert judge(Reply(401, "", ""), 0, deduplicates=False).stage is Stage.AUTH


def test_what_keeps_from_connecting() -> None:
    refused = unreached(httpcore.ConnectError("refused"))
    assert (refused.stage, refused.reason) == (Stage.CONNECT, "unreachable")
    denied = unreached(Denied("10.0.0.1 is private"))
    assert (denied.stage, denied.reason) == (Stage.CONNECT, "webhook_denied")
    tls = unreached(ssl.SSLError("bad certificate"))
    assert (tls.stage, tls.reason) == (Stage.TLS, "tls")
    name = httpcore.ConnectError("name look-up")
    name.__cause__ = OSError("no such name")
    assert unreached(name).reason == "server_unresolved"
