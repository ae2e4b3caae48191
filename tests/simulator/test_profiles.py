"""What the simulator plays: its profiles, their rules, and what UMS makes of them."""

import re
from pathlib import Path

import aiosmtplib
import pytest

from support.flow import Flow, open_flow
from ums.core.context.app_context import AppContext
from ums.engine.worker import running
from ums.errors import Invalid
from ums.simulator.ledger import Ledger
from ums.simulator.profiles import STAGES, Profile, Rule, Simulator, load

MAIL = b"Message-ID: <1@x.cn>\r\nSubject: s\r\n\r\nt\r\n"
PROFILES = load()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def client(server: Simulator) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, start_tls=False)


async def told(server: Simulator, to: str = "a@x.cn", password: str | None = None) -> int:
    """The code that a mail ends with."""
    smtp = client(server)
    try:
        await smtp.connect()
        if password is not None:
            await smtp.login("me@x.cn", password)
        await smtp.sendmail("me@x.cn", [to], MAIL)
        await smtp.quit()
    except aiosmtplib.SMTPRecipientsRefused as refused:
        return refused.recipients[0].code
    except aiosmtplib.SMTPResponseException as refused:
        return refused.code
    return 250


def playing(*rules: Rule, **more: object) -> Simulator:
    return Simulator(Profile(rules=rules), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PROFILES)
async def test_a_profile_says_what_smtp_can_say(name: str) -> None:
    profile = PROFILES[name]
    assert profile.en
    assert profile.zh
    for rule in profile.rules:
        for line in (rule.reply or "").split("\n"):
            assert len(line) <= 510
            if name != "garbage":
                assert re.match(r"\d{3}[ -]|$", line), line
    if name in ("slow", "tarpit", "greylist"):
        return  # they take their time
    async with Simulator(profile, seed=1) as server:
        assert await told(server, password="right" if profile.login else None) == 250
        assert await told(server, "nobody@x.cn", "right" if profile.login else None) == 550


@pytest.mark.parametrize("name", [name for name, one in PROFILES.items() if one.login])
async def test_a_log_in_takes_any_password_but_one(name: str) -> None:
    async with Simulator(PROFILES[name]) as server:
        assert await told(server, password="wrong") == 535
        assert await told(server, password="authorisation code") == 250


async def test_greylisting_ends_with_time() -> None:
    clock = Clock()
    async with Simulator(PROFILES["greylist"], clock=clock) as server:
        assert await told(server) == 450
        clock.now = 59
        assert [await told(server), await told(server, "other@x.cn")] == [450, 450]
        clock.now = 60
        assert [await told(server), await told(server, "other@x.cn")] == [250, 450]


async def test_a_rate_is_counted_over_its_time() -> None:
    clock = Clock()
    rule = Rule("MAIL", "451 4.7.1 slower", over=2, seconds=60)
    async with playing(rule, clock=clock) as server:
        assert [await told(server) for _ in range(4)] == [250, 250, 451, 451]
        clock.now = 61
        assert [await told(server) for _ in range(3)] == [250, 250, 451]
        assert server.said == {"MAIL: 451 4.7.1 slower": 3}


async def test_every_nth_and_by_chance() -> None:
    async with playing(Rule("RCPT", "450 no", every=3)) as server:
        assert [await told(server) for _ in range(6)] == [250, 250, 450] * 2
    rule = Rule("RCPT", "450 no", chance=0.5)
    async with playing(rule, seed=7) as server, playing(rule, seed=7) as again:
        codes = [await told(server) for _ in range(20)]
        assert codes == [await told(again) for _ in range(20)]
    assert set(codes) == {250, 450}


async def test_connections_and_their_mails_are_counted() -> None:
    rules = (
        Rule("GREETING", "421 too many", open=1, drop=True),
        Rule("MAIL", "421 enough", session=2, drop=True),
    )
    async with playing(*rules) as server:
        first = client(server)
        await first.connect()
        assert await told(server) == 421
        for _ in range(2):
            await first.sendmail("me@x.cn", ["a@x.cn"], MAIL)
        with pytest.raises(aiosmtplib.SMTPException):
            await first.sendmail("me@x.cn", ["a@x.cn"], MAIL)
        first.close()


async def test_waiting_leaves_the_reply_as_it_is() -> None:
    rules = [Rule(stage, wait=0.01) for stage in STAGES]
    async with Simulator(Profile(login=True, rules=tuple(rules))) as server:
        assert await told(server, password="right") == 250
        assert await told(server, password="wrong") == 535


async def test_ums_tells_what_is_lost_from_what_is_sent(system: AppContext) -> None:
    book = Ledger()
    async with Simulator(PROFILES["lost"]) as server:
        server.taken = book.note
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.broadcast(60)
            counts = await flow.until_settled(msgid)
    # Of 60, each 10th is taken and each 15th is not; nobody can tell these from one another.
    assert counts == {"sent": 52, "unknown": 8}
    assert (book.taken, book.twice) == (58, 0)


async def test_ums_reads_what_providers_say(system: AppContext) -> None:
    async with Simulator(PROFILES["plain"]) as server:
        flow: Flow = await open_flow(system, server)
        async with running(system):
            names = ("nobody", "disabled", "spam", "fine")
            msgids = {name: await flow.send(f"{name}@x.cn") for name in names}
            for msgid in msgids.values():
                await flow.until_settled(msgid)
    found = {name: (await flow.delivery(msgid)).reason for name, msgid in msgids.items()}
    assert found["nobody"] == "no_such_mailbox"
    assert found["disabled"] == "mailbox_disabled"
    assert found["spam"] in ("content", "policy", "suspicious")
    assert found["fine"] == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[mine", "profiles.toml"),
        ("[mine]\nrule = 1", "rule"),
        ('[mine]\nrules = [{at = "HELLO"}]', "HELLO"),
        ('[mine]\nrules = [{at = "RCPT", match = "("}]', "mine.toml"),
        ('[mine]\nrules = [{at = "RCPT", every = 0}]', "every"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(Invalid) as caught:
        load(file)
    told = caught.value.words("en")
    assert word.replace("profiles.toml", "mine.toml") in told


def test_profiles_of_ones_own_come_beside_the_others(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[mine]\nen = "Mine"\nrules = [{at = "RCPT", reply = "450 no"}]\n')
    known = load(file)
    assert set(known) == {*PROFILES, "mine"}
    assert len(known["mine"].rules) > 1  # those of all come after it
    with pytest.raises(Invalid):
        load(tmp_path / "nothing.toml")
