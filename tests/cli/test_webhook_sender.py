"""`ums sender create-webhook` and `rotate`, without a server."""

from pathlib import Path

from cli.conftest import Ums

HOOK = ("--code", "hook", "--name", "Hook", "--url", "https://hooks.example.com/x")


def test_a_webhook_sender_is_made_and_its_secret_shown_once(ums: Ums) -> None:
    made = ums("sender", "create-webhook", *HOOK, "--json").json
    assert made["signing_secret"].startswith("whsec_")
    (listed,) = ums("sender", "list", "--json").json
    assert (listed["type"], listed["url"]) == ("webhook", "https://hooks.example.com/x")
    assert "signing_secret" not in listed


def test_it_is_changed_and_keeps_its_password(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken\n")
    ums("sender", "create-webhook", *HOOK, "--password-file", str(file))
    changed = ums("sender", "create-webhook", *HOOK, "--deduplicates", "--change", "--json").json
    assert (changed["authentication"], changed["deduplicates"]) == ("bearer", True)
    moved = ("--code", "hook", "--name", "Hook", "--url", "https://other.example.com/")
    refused = ums("sender", "create-webhook", *moved, "--change", "--json")
    assert (refused.status, refused.error["reason"]) == (1, "webhook_password_again")


def test_a_new_signing_secret_is_shown_once(ums: Ums) -> None:
    before = ums("sender", "create-webhook", *HOOK, "--json").json["signing_secret"]
    after = ums("sender", "rotate", "hook", "--json").json["signing_secret"]
    assert after.startswith("whsec_")
    assert after != before
