"""Reply classification: the table `reply_classifier.toml`, compiled, with the retry schedule.

The table is data so that operators' reports can extend it without touching code.
"""

import random
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from ums.mail.outcomes import Bounce, Outcome, Reply, Schedule, Scope, Stage, Verdict
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind

_HOUR: Final = 3_600_000  # milliseconds
_MINUTE: Final = 60_000
_JITTER: Final = 0.2  # of the delay, either way, so that a burst does not come back as a burst

_FAILURE: Final = 400  # the lowest code that is no success
_HOLD: Final = "hold"  # the table's short word for: later, scope sender, not charged

_DELAYS: Final[dict[Schedule, tuple[int, ...]]] = {
    # 14 attempts in 72 h; the early steps fit greylists of 5 min, 15 min and 4 h.
    Schedule.USUAL: (
        75_000,
        *(minutes * _MINUTE for minutes in (5, 10, 20, 40, 90)),
        *(hours * _HOUR for hours in (3, 6, 12, 12, 12, 12, 12)),
    ),
    Schedule.MAILBOX: (_HOUR, 6 * _HOUR, 24 * _HOUR),
    Schedule.ONCE: (75_000,),
}


_OF_THE_SERVER: Final = re.compile(
    r"relay(ing)? (access )?(is )?(denied|not)|(unable|not (permitted|allowed)) to relay"
    r"|transport (is )?(currently )?(unavailable|not available)|mail (system|transport) loop",
    re.IGNORECASE,
).search
"""What a server says of itself and of its rules, whatever status it gives (RFC 3463 has 5.1.1 for
the address alone, yet servers send it with these words)."""


class _Row(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    verdict: Verdict
    stages: frozenset[Stage] = frozenset(Stage)
    code: tuple[str, ...] = ("xxx",)
    enhanced: tuple[str, ...] = ()
    text: str = ""
    kind: frozenset[SmtpErrorKind] = frozenset(SmtpErrorKind)
    scope: Scope = Scope.DELIVERY
    charged: bool = True
    wait: int | None = None  # seconds
    schedule: Schedule = Schedule.USUAL


class _Rule(NamedTuple):
    row: _Row
    code: re.Pattern[str]
    enhanced: re.Pattern[str] | None
    text: re.Pattern[str] | None

    def fits(self, reply: Reply) -> bool:
        if self.row.id in HARD and not _of_the_address(reply):
            return False
        if self.enhanced is not None and not self.enhanced.fullmatch(reply.enhanced):
            return False
        return self.text is None or self.text.search(reply.text) is not None


def _of_the_address(reply: Reply) -> bool:
    """Whether the reply may speak of the address: its status, where it has one, is not about the
    system, the network, the content or a policy (RFC 3463 section 2), nor are its words."""
    about_server = reply.enhanced[2:4] in ("3.", "4.", "6.", "7.")
    return not about_server and _OF_THE_SERVER(reply.text) is None


def classify_reply(stage: Stage, reply: Reply) -> Outcome:
    """What `reply`, given at `stage`, means for the delivery and its sender."""
    for rule in _candidates(stage, reply.code):
        if rule.fits(reply):
            return _outcome(rule.row, stage, reply)
    raise AssertionError("the last row of the reply table matches everything")


def classify_error(error: SmtpError) -> Outcome:
    """What a failed hand-over means: by its reply where there is one, else by its kind."""
    if error.kind is SmtpErrorKind.REFUSED and error.reply is not None:
        return classify_reply(error.stage, error.reply)
    row = _error_row(error.kind, error.stage)
    return _outcome(row, error.stage, error.reply, error.detail)


class OwnRule(Struct, frozen=True):
    """An operator's rule: a reply that holds `text` (in any case) means `reason`."""

    text: str
    reason: str  # one of REASONS
    code: str = ""  # such as 550 or 5xx; empty: any

    def fits(self, reply: Reply) -> bool:
        digits = str(reply.code)
        alike = all(a in ("x", b) for a, b in zip(self.code, digits, strict=False))
        return alike and self.text.casefold() in reply.text.casefold()


def reread(outcome: Outcome, own: Sequence[OwnRule]) -> Outcome:
    """The outcome as the first of the operators' rules that fits has it. What the server took, and
    what nobody knows, no rule changes."""
    reply = outcome.reply
    if not own or reply is None or reply.code < _FAILURE or outcome.verdict is Verdict.UNKNOWN:
        return outcome
    for rule in own:
        if rule.fits(reply):
            return _outcome(_FIRST[rule.reason], outcome.stage, reply)
    return outcome


def retry_delay(n: int, schedule: Schedule = Schedule.USUAL) -> int | None:
    """Milliseconds to wait after the `n`-th counted failure (from 1), with +-20 % jitter.

    None when the schedule is exhausted.
    """
    delays = _DELAYS[schedule]
    if n > len(delays):
        return None
    spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  (nothing secret in it)
    return round(delays[max(n, 1) - 1] * spread)


# What differs from one mail to the next: addresses, and marks with a digit in them.
_OWN: Final = re.compile(r"<[^<>]*>|\S+@\S+|\S*\d\S*")


def alike(text: str) -> str:
    """A reply's text without what is its own mail's, to tell which replies are alike."""
    return _OWN.sub("*", text)


_TIMES: Final = {"s": 1_000, "m": _MINUTE, "h": _HOUR, "秒": 1_000, "分": _MINUTE, "小": _HOUR}
_CUE: Final = r"(?:again|retry|wait|back|greylist\w*|delay\w*|later|请在?|等待|稍后)"
_HINT: Final = re.compile(
    _CUE + r"[^\d]{0,40}?(\d{1,6}) ?(s|m|h|秒|分|小时)(?:ec(?:ond)?s?|in(?:ute)?s?|(?:ou)?rs?)?\b"
    r"|" + _CUE + r"[^\d]{0,40}?(\d{1,2}):(\d\d):(\d\d)"
    r"|(\d{1,6}) ?(秒|分|小时)[钟]?[之以]?后",
    re.IGNORECASE,
)


def hinted_wait(text: str) -> int | None:
    """Milliseconds the server asks us to wait ("try again in 5 minutes"), at most one hour."""
    match = _HINT.search(text)
    if match is None:
        return None
    amount, unit, hours, minutes, seconds, amount_zh, unit_zh = match.groups()
    if hours is not None:
        found = int(hours) * _HOUR + int(minutes) * _MINUTE + int(seconds) * 1_000
    else:
        found = int(amount or amount_zh) * _TIMES[(unit or unit_zh)[0].lower()]
    return min(found, _HOUR)


def _outcome(row: _Row, stage: Stage, reply: Reply | None, detail: str = "") -> Outcome:
    return Outcome(
        verdict=row.verdict,
        stage=stage,
        reason=row.id,
        scope=row.scope,
        charged=row.charged,
        wait=_wait(row, reply),
        reply=reply,
        detail=detail,
        schedule=row.schedule,
        bounce=_BOUNCES.get(row.id, Bounce.NONE),
    )


def _wait(row: _Row, reply: Reply | None) -> int | None:
    if row.verdict is not Verdict.LATER:
        return None
    hint = hinted_wait(reply.text) if reply is not None else None
    if hint is not None:
        return hint
    return None if row.wait is None else row.wait * 1_000


@cache  # a stage and three digits: at most a few thousand entries
def _candidates(stage: Stage, code: int) -> tuple[_Rule, ...]:
    digits = str(code)
    return tuple(
        rule for rule in _REPLIES if stage in rule.row.stages and rule.code.fullmatch(digits)
    )


@cache
def _error_row(kind: SmtpErrorKind, stage: Stage) -> _Row:
    return next(row for row in _ERRORS if kind in row.kind and stage in row.stages)


def _rule(row: _Row) -> _Rule:
    return _Rule(
        row,
        _pattern(row.code, r"\d"),
        _pattern(row.enhanced, r"\d+") if row.enhanced else None,
        re.compile(row.text, re.IGNORECASE) if row.text else None,
    )


def _pattern(shapes: tuple[str, ...], wildcard: str) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(shape).replace("x", wildcard) for shape in shapes))


def _load() -> tuple[tuple[_Rule, ...], tuple[_Row, ...], dict[str, Bounce]]:
    table = tomllib.loads((files("ums.mail") / "reply_classifier.toml").read_text("utf-8"))
    bounces = msgspec.convert(table.pop("bounce"), dict[str, Bounce])
    for row in (*table["reply"], *table["error"]):
        if row["verdict"] == _HOLD:
            row |= {"verdict": Verdict.LATER, "scope": Scope.SENDER, "charged": False}
    rows = msgspec.convert(table, dict[str, tuple[_Row, ...]])
    return tuple(_rule(row) for row in rows["reply"]), rows["error"], bounces


_REPLIES, _ERRORS, _BOUNCES = _load()
_FIRST: Final = {rule.row.id: rule.row for rule in reversed(_REPLIES) if rule.row.id != "sent"}
REASONS: Final = tuple(sorted(_FIRST))
"""What a reply may mean to an operator's rule."""
HARD: Final = frozenset(id for id, bounce in _BOUNCES.items() if bounce is Bounce.HARD)
"""The reasons that say of an address that nobody is there; they alone suppress it at once."""
SOFT: Final = frozenset(id for id, bounce in _BOUNCES.items() if bounce is Bounce.SOFT)
"""The reasons that say of a mailbox that it takes nothing now."""
