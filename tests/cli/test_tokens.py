"""`ums token`."""

from cli.conftest import Ums


def test_a_token_from_its_making_to_its_end(sending: Ums) -> None:
    made = sending(
        *("token", "create", "ci", "--scope", "stats:read", "--scope", "users:write"),
        *("--channel", "1234", "--days", "30", "--json"),
    ).json
    assert made["token"].startswith("ums_")
    assert (made["scopes"], made["channels"]) == (["stats:read", "users:write"], ["1234"])
    assert made["expires_at"] is not None
    later = sending("token", "create", "later", "--scope", "admin", "--json").json
    listed = sending("token", "list", "--limit", "1", "--json").json
    assert [one["id"] for one in listed["items"]] == [later["id"]]
    assert made["token"] not in sending("token", "list").out
    rest = sending("token", "list", "--after", listed["next"], "--json").json
    assert [(one["name"], one["revoked_at"]) for one in rest["items"]] == [("ci", None)]
    assert sending("token", "revoke", str(made["id"]), "--json").json["revoked_at"] is not None


def test_tokens_that_cannot_be(sending: Ums) -> None:
    wrong = sending("token", "create", "x", "--scope", "everything", "--json")
    assert (wrong.error["code"], wrong.error["reason"]) == (4004, "scope_unknown")
    any_scope = sending("token", "create", "x", "--scope", "*").complaint
    assert "there is no scope *" in any_scope
    assert "users:read" in any_scope
    assert "admin" in any_scope
    nowhere = sending("token", "create", "x", "--scope", "admin", "--channel", "5678", "--json")
    assert nowhere.error["reason"] == "channel_unknown"
    never = sending("token", "create", "x", "--scope", "admin", "--days", "-1", "--json")
    assert never.status == 2
    assert sending("token", "revoke", "99", "--json").error["reason"] == "token_unknown"
    assert sending("token", "list", "--json").json["items"] == []
