"""Profiles: what a simulated provider says, and when (`profiles.toml` tells the format)."""

import random
import re
import time
import tomllib
from collections import Counter, deque
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ums.errors import Invalid
from ums.simulator.server import Act, Answer, Call, SmtpServer

COMMON: Final = "common"
STAGES: Final = ("GREETING", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "DOT", "QUIT")
WRONG: Final = "wrong"  # the one password that is refused


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said at a stage when all its conditions hold."""

    at: str
    reply: str | None = None  # None: what is usual
    match: str | None = None
    chance: float | None = None
    every: int | None = None
    over: int | None = None
    seconds: float = 60.0
    grey: float | None = None
    open: int | None = None
    session: int | None = None
    wait: float = 0.0
    gap: float = 0.0
    drop: bool = False
    taken: bool = False


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """A provider that is played."""

    en: str = ""
    zh: str = ""
    greeting: str = "220 simulator.example ESMTP UMS simulator"
    features: tuple[str, ...] = ("8BITMIME", "SMTPUTF8", "SIZE 50000000", "ENHANCEDSTATUSCODES")
    login: bool = False
    refusal: str = "535 5.7.8 Authentication failed"
    rules: tuple[Rule, ...] = ()


def load(own: Path | None = None) -> dict[str, Profile]:
    """The profiles that come with UMS, and those of the file `own`. Raises Invalid."""
    found = _read((files("ums.simulator") / "profiles.toml").read_text("utf-8"), "profiles.toml")
    if own is not None:
        try:
            found |= _read(own.read_text("utf-8"), str(own))
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid("profile_unusable", detail=f"{own}: {error}") from None
    common = found.pop(COMMON).rules
    return {
        name: msgspec.structs.replace(profile, rules=(*profile.rules, *common))
        for name, profile in found.items()
    }


def _read(text: str, where: str) -> dict[str, Profile]:
    try:
        found = msgspec.convert(tomllib.loads(text), dict[str, Profile])
        for name, profile in found.items():
            for rule in profile.rules:
                _check(name, rule)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError, re.error) as error:
        raise Invalid("profile_unusable", detail=f"{where}: {error}") from None
    return found


def _check(name: str, rule: Rule) -> None:
    if rule.at not in STAGES:
        raise ValueError(f"{name}: at = {rule.at!r} is none of {', '.join(STAGES)}")
    if rule.every is not None and rule.every < 1:
        raise ValueError(f"{name}: every = {rule.every} has to be 1 at least")
    re.compile(rule.match or "")


class Simulator(SmtpServer):
    """A server that plays a profile; `said` counts what its rules did."""

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        host: str = "127.0.0.1",
        port: int = 0,
        keeps: bool = False,
    ) -> None:
        super().__init__(
            features=profile.features,
            users={} if profile.login else None,
            refusal=_octets(profile.refusal),
            host=host,
            port=port,
            keeps=keeps,
        )
        self.said: Counter[str] = Counter()
        self._clock, self._random = clock, random.Random(seed)  # noqa: S311  (no secret in it)
        self._greeting = _octets(profile.greeting)
        self._rules = {
            stage: [_Playing(rule, self) for rule in profile.rules if rule.at == stage]
            for stage in STAGES
        }
        self.script = dict.fromkeys(STAGES, self._play)

    def allows(self, account: str, password: str) -> bool:
        return bool(account) and password != WRONG

    def now(self) -> float:
        return self._clock()

    def by_chance(self) -> float:
        return self._random.random()

    def _play(self, call: Call) -> Answer:
        acted = None
        # Every rule counts, also those that come after the one which acts.
        for playing in self._rules[call.key]:
            holds = playing.holds(call)
            acted = playing if holds and acted is None else acted
        if acted is not None:
            return self._acted(call, acted.rule)
        return self._greeting if call.key == "GREETING" else None

    def _acted(self, call: Call, rule: Rule) -> Answer:
        if rule.reply is None:
            reply, usual = self._greeting, call.key != "GREETING"
        else:
            reply, usual = _octets(rule.reply), False
            self.said[f"{call.key}: {rule.reply or 'connection cut'}"] += 1
        how = {"drop": rule.drop, "taken": rule.taken}
        return Act(reply, usual, after=rule.wait, gap=rule.gap, **how)


def _octets(text: str) -> bytes:
    return "".join(f"{line}\r\n" for line in text.split("\n") if line).encode()


class _Playing:
    """A rule, and what it remembers."""

    def __init__(self, rule: Rule, server: Simulator) -> None:
        self.rule, self._server = rule, server
        self._pattern = None if rule.match is None else re.compile(rule.match, re.IGNORECASE)
        self._count = 0
        self._recent: deque[float] = deque()
        self._first: dict[tuple[str, str], float] = {}
        self._of_session: Counter[int] = Counter()

    def holds(self, call: Call) -> bool:
        if self._pattern is not None and not self._pattern.search(_line(call)):
            return False
        return all((self._by_count(), self._by_time(call), self._by_connection(call)))

    def _by_count(self) -> bool:
        self._count += 1
        if self.rule.chance is not None and self._server.by_chance() >= self.rule.chance:
            return False
        return self.rule.every is None or self._count % self.rule.every == 0

    def _by_time(self, call: Call) -> bool:
        return self._over() and self._grey(call)

    def _over(self) -> bool:
        if self.rule.over is None:
            return True
        now = self._server.now()
        while self._recent and self._recent[0] <= now - self.rule.seconds:
            self._recent.popleft()
        if len(self._recent) >= self.rule.over:
            return True
        self._recent.append(now)  # what is refused does not count
        return False

    def _grey(self, call: Call) -> bool:
        if self.rule.grey is None:
            return True
        now = self._server.now()
        first = self._first.setdefault((call.mail_from, call.line), now)
        return now - first < self.rule.grey

    def _by_connection(self, call: Call) -> bool:
        self._of_session[call.connection] += 1
        session = self.rule.session
        if session is not None and self._of_session[call.connection] <= session:
            return False
        return self.rule.open is None or self._server.open > self.rule.open


def _line(call: Call) -> str:
    """What a pattern looks through: at the mail's end, its recipients."""
    return " ".join(f"<{one}>" for one in call.rcpt_to) if call.key == "DOT" else call.line
