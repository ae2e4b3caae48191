"""Stopping messages from the terminal, without a server and beside one."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cli.conftest import Ums
from cli.terminal import Terminal


@pytest.fixture
def waiting(ums: Ums) -> str:
    """A message to two addresses that no engine has seen yet; its msgid."""
    key = ums("channel", "create", "Shop", "--json").json["channelkey"]
    add = "sender create --code m --name m --host 127.0.0.1 --port 25 --encryption none"
    assert ums(*add.split(), "--from", "a@example.org", "--channel", key).status == 0
    return send(ums, key)


def send(ums: Ums, key: str, *more: str) -> str:
    to = ("--to", "a@example.org", "--to", "b@example.org", "--subject", "s", "--text", "t")
    return ums("send", "--channel", key, *to, *more, "--json").json["msgid"]


def numbers(told: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in told.items() if isinstance(value, int) and value}


def test_a_retraction_prints_the_exact_counts(ums: Ums, waiting: str) -> None:
    told = ums("retract", waiting, "--json").json
    assert (told["msgid"], told["halt"]) == (waiting, "retracted")
    assert numbers(told) == {"stopped": 2, "audience": 2}
    again = ums("retract", waiting, "--json")
    assert (again.status, again.error["code"]) == (1, 1015055)


def test_words_for_people(ums: Ums, waiting: str) -> None:
    shown = ums("retract", waiting).out
    assert "stopped    2" in shown
    assert "in_flight  0" in shown


def test_pause_resume_and_cancel(ums: Ums, waiting: str) -> None:
    paused = ums("message", "pause", waiting, "--json").json
    assert (paused["halt"], numbers(paused)) == ("paused", {"stopped": 2, "audience": 2})
    resumed = ums("message", "resume", waiting, "--json").json
    assert (resumed["halt"], numbers(resumed)) == ("", {"waiting": 2, "audience": 2})
    cancelled = ums("message", "cancel", waiting, "--json").json
    assert (cancelled["halt"], numbers(cancelled)) == ("cancelled", {"stopped": 2, "audience": 2})
    failed = ums("message", "resume", waiting, "--json")
    assert (failed.status, failed.error["reason"]) == (1, "message_stopped")


def test_resending_what_failed(ums: Ums, waiting: str) -> None:
    told = ums("message", "resend", waiting, "--state", "failed", "--reason", "x", "--json").json
    assert numbers(told) == {"waiting": 2, "audience": 2}
    assert told["resent"] == 0
    failed = ums("message", "resend", waiting, "--state", "sent", "--json")
    assert (failed.status, failed.error["reason"]) == (1, "resend_states")


def test_resolving_what_is_unknown(ums: Ums, waiting: str) -> None:
    told = ums("message", "resolve", waiting, "--arrived", "--json").json
    assert numbers(told) == {"waiting": 2, "audience": 2}
    assert told["resolved"] == 0
    assert ums("message", "resolve", waiting).status == 2  # nothing was said of them
    told = ums("message", "resolve", waiting, "--not-arrived", "--delivery", "1", "--json").json
    assert told["resolved"] == 0


@pytest.mark.parametrize(
    "command",
    [
        *("retract", "message pause", "message resume", "message cancel", "message resend"),
        "message resolve --arrived",
    ],
)
def test_an_unknown_message(ums: Ums, command: str) -> None:
    failed = ums(*command.split(), "v:1t:1p:1n:1", "--json")
    assert (failed.status, failed.error["reason"]) == (1, "message_unknown")


def test_through_a_running_server(terminal: Terminal, ums: Ums, waiting: str) -> None:
    """Whose engine parks the deliveries."""
    with terminal.serve():
        told = ums("message", "pause", waiting, "--json").json
        assert told["halt"] == "paused"
        assert told["stopped"] + told["in_flight"] == 2
        assert ums("message", "cancel", waiting, "--json").json["halt"] == "cancelled"


def test_a_scheduled_message(ums: Ums, waiting: str) -> None:
    key = ums("channel", "list", "--json").json[0]["channelkey"]
    start = datetime.now(timezone(timedelta(hours=8))).replace(microsecond=0) + timedelta(days=1)
    end = start + timedelta(hours=7)
    msgid = send(ums, key, "--at", start.isoformat(), "--deliver-by", end.isoformat())
    assert msgid != waiting
    shown = ums("message", "show", msgid, "--json").json
    assert shown["state"] == "scheduled"
    assert datetime.fromisoformat(shown["starts_at"]) == start
    assert datetime.fromisoformat(shown["expires_at"]) == end
    at, by = (start + timedelta(days=1)).isoformat(), (end + timedelta(days=1)).isoformat()
    move = ("message", "reschedule", msgid, "--at")
    moved = ums(*move, at, "--deliver-by", by, "--json").json
    assert (moved["state"], datetime.fromisoformat(moved["starts_at"]).isoformat()) == (
        "scheduled",
        datetime.fromisoformat(at).astimezone(UTC).isoformat(),
    )
    failed = ums(*move, "2020-01-01T00:00:00Z", "--json")
    assert (failed.status, failed.error["reason"]) == (1, "starts_in_past")
    gone = ums("message", "reschedule", waiting, "--at", at, "--json")
    assert (gone.status, gone.error["reason"]) == (1, "not_scheduled")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--at", "tomorrow"), "bad_time"),
        (("--at", "2026-10-25T02:30:00"), "bad_time"),
        (("--at", "2999-10-25T02:30:00Z"), "starts_too_late"),
        (("--at", "2020-10-25T02:30:00Z"), "starts_in_past"),
        (("--deliver-by", "2020-01-01T00:00:00Z"), "bad_deliver_by"),
        (("--on-unknown", "perhaps"), "misfit"),
    ],
)
@pytest.mark.usefixtures("waiting")
def test_bad_times(ums: Ums, options: tuple[str, ...], reason: str) -> None:
    key = ums("channel", "list", "--json").json[0]["channelkey"]
    to = ("--to", "a@example.org", "--subject", "s", "--text", "t")
    failed = ums("send", "--channel", key, *to, *options, "--json")
    assert (failed.status, failed.error["reason"]) == (1, reason)
