"""What the answers of a webhook sender's receiver mean, and what it means that there is none.

| Answer | Delivery | Sender |
| --- | --- | --- |
| 2xx | sent | |
| 401, 403, 407 | waits | rests, then stops: the credentials are wrong |
| 404, 405, 408, 5xx | tried again | |
| 410 | waits | stops until it is changed or tested well |
| 429, 503 | waits | rests as long as `Retry-After` says |
| 504, none | unknown; tried again where the receiver deduplicates | |
| other 4xx | failed | |
| 3xx and others | waits | rests: a redirect is not followed |
"""

from typing import Any, Final

import httpcore

from ums.core.net.http_client import is_tls
from ums.core.net.ssrf_guard import Denied
from ums.mail.outcomes import Outcome, Reply, Scope, Stage, Verdict

GONE: Final = "webhook_gone"
_LOGIN: Final = (401, 403, 407)
_AGAIN: Final = (404, 405, 408)
_TLS_WAIT: Final = 3_600_000  # ms
_BUSY: Final = {429: "rate", 503: "server_busy"}


def judge(reply: Reply, wait: int, *, deduplicates: bool) -> Outcome:
    """What an answer means; `wait` is its `Retry-After` in ms, 0 for none."""
    code = reply.code
    if reply.ok:
        return Outcome(Verdict.SENT, Stage.DOT, "sent", reply=reply)
    if code in _LOGIN:
        return hold(Stage.AUTH, "webhook_credentials", reply=reply, wait=wait or None)
    if code == 410:
        return hold(Stage.DOT, GONE, reply=reply)
    if code in _BUSY:
        return hold(Stage.DOT, _BUSY[code], reply=reply, wait=wait or None)
    if code == 504:
        return silence("", deduplicates=deduplicates, reply=reply)
    if code in _AGAIN or code >= 500:
        return Outcome(Verdict.LATER, Stage.DOT, "webhook_failed", wait=wait or None, reply=reply)
    if 400 <= code < 500:
        return Outcome(Verdict.REFUSED, Stage.DOT, "webhook_refused", reply=reply)
    return hold(Stage.DOT, "webhook_moved", reply=reply)


def silence(detail: str, *, deduplicates: bool, reply: Reply | None = None) -> Outcome:
    """The body was sent, and nobody knows what became of it."""
    verdict = Verdict.LATER if deduplicates else Verdict.UNKNOWN
    return Outcome(verdict, Stage.DOT, "no_answer", detail=detail, reply=reply)


def unreached(error: BaseException) -> Outcome:
    """No connection came about."""
    if isinstance(error, Denied):
        return hold(Stage.CONNECT, "webhook_denied", error.reason)
    if is_tls(error):
        return hold(Stage.TLS, "tls", str(error), wait=_TLS_WAIT)
    if isinstance(error, httpcore.ConnectError) and isinstance(error.__cause__, OSError):
        return hold(Stage.RESOLVE, "server_unresolved", str(error.__cause__))
    return hold(Stage.CONNECT, "unreachable", str(error))


def hold(stage: Stage, reason: str, detail: str = "", **more: Any) -> Outcome:
    """The sender rests, and the delivery waits with it."""
    return Outcome(
        Verdict.LATER, stage, reason, scope=Scope.SENDER, charged=False, detail=detail, **more
    )
