"""The link of the terminal: it opens the sandbox, once, and nothing else."""

from collections import Counter

import pytest
from msgspec import structs

from console.conftest import browsing
from support.doors import Door, open_door
from ums.config import Settings
from ums.console.sandbox import guests
from ums.console.sandbox.guests import COOKIE, PATH, Guests, guests_of
from ums.core.audit import audit_log
from ums.core.audit.audit_gate import Failures


async def test_a_link_opens_the_sandbox_once(door: Door) -> None:
    link = PATH + guests_of(door.app.state).invite()
    async with browsing(door) as guest, browsing(door) as late:
        assert (await guest.get("/sandbox")).status_code != 200
        entered = await guest.get(link)
        assert (entered.status_code, entered.headers["location"]) == (303, "/sandbox")
        cookie = entered.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("path=/", "httponly", "samesite=lax"))
        assert (await guest.get("/sandbox")).status_code == 200
        assert (await guest.get("/home")).status_code == 303  # to the log-in page
        again = await late.get(link)
        assert (again.status_code, "set-cookie" in again.headers) == (403, False)
        assert "once" in again.text
        assert (await late.get("/sandbox")).status_code != 200


async def test_links_are_in_the_audit_log_used_or_refused(door: Door) -> None:
    link = PATH + guests_of(door.app.state).invite()
    async with browsing(door) as guest:
        for path, status in (
            (link, 303),
            (link, 403),
            (f"{PATH}{'a' * 43}", 403),
            (f"{PATH}{'b' * 43}", 403),
            (f"/invitation/{'c' * 43}", 404),
        ):
            assert (await guest.get(path)).status_code == status, path
        accepted = {"name": "eve", "password": "seven grey herons", "again": "seven grey herons"}
        assert (await guest.post(f"/invitation/{'c' * 43}", data=accepted)).status_code == 404
    await door.system.shared(Failures).flush(now=True)
    async with door.system.database.read() as tx:
        noted = [one for one in (await audit_log.list_audit(tx)).items if "link." in one.action]
    times = Counter[tuple[str, ...]]()
    for one in noted:
        times[one.action, one.subject, one.actor, one.address] += one.times
        assert link.rpartition("/")[2] not in repr(one)
    who = (audit_log.ANYBODY, "127.0.0.1")
    assert times[("link.enter", "sandbox", *who)] == 1
    assert times[("link.failed", "sandbox", *who)] == 3
    assert times[("link.failed", "invitation", *who)] == 2


async def test_under_tls_only_a_pass_of_this_host_counts(settings: Settings) -> None:
    settings = structs.replace(settings, public_url="https://ums.example.org")
    async with open_door(settings) as door, browsing(door) as guest:
        link = PATH + guests_of(door.app.state).invite()
        told = (await guest.get(link)).headers["set-cookie"]
        assert told.startswith(f"__Host-{COOKIE}=")
        assert {"secure", "path=/"} <= {part.strip().lower() for part in told.split(";")[1:]}
        given = told.partition("=")[2].partition(";")[0]
        for name, status in ((f"__Host-{COOKIE}", 200), (COOKIE, 303)):
            asked = await guest.get("/sandbox", headers={"Cookie": f"{name}={given}"})
            assert asked.status_code == status, name


async def test_a_pass_is_no_session(door: Door) -> None:
    known = guests_of(door.app.state)
    given = str(known.enter(known.invite()))
    async with browsing(door) as guest:
        for name in (COOKIE, "ums_session", "__Host-ums_session"):
            guest.cookies.set(name, given)
        for path in ("/home", "/messages", "/account", "/operators"):
            assert (await guest.get(path)).status_code == 303, path
        assert (await guest.get("/api/messages")).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "\udcff", "a" * 43])
def test_what_nobody_issued_opens_nothing(token: str) -> None:
    known = Guests()
    known.invite()
    assert known.enter(token) is None
    assert not known.knows(token)


def test_links_and_passes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(guests.time, "monotonic", lambda: now[0])
    known = Guests()
    late, link = known.invite(), known.invite()
    given = known.enter(link)
    assert given is not None
    now[0] += guests.LINK_SECONDS
    assert known.enter(late) is None
    assert known.knows(given)
    now[0] += guests.PASS_SECONDS
    assert not known.knows(given)
