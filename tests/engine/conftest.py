"""The engine in a hurry: what waits for minutes in earnest waits for moments here."""

import asyncio
from collections.abc import Iterator

import pytest

from ums.core.deliveries import retry_policy
from ums.core.senders import cooldown
from ums.engine import webhooks, worker
from ums.engine.delivery import dispatcher
from ums.mail import reply_classifier


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short pauses, and no engine loop that ends unseen."""
    ended: list[BaseException] = []

    def report(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            ended.append(task.exception())

    def soon(n: int, schedule: reply_classifier.Schedule) -> int | None:
        return None if real(n, schedule) is None else 50

    real = reply_classifier.retry_delay
    monkeypatch.setattr(worker, "_report", report)
    monkeypatch.setattr(worker, "EXPAND_POLL", 0.05)
    monkeypatch.setattr(worker, "SPILL_POLL", 0.05)
    monkeypatch.setattr(worker, "JUDGE_POLL", 0.05)
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(retry_policy, "retry_delay", soon)
    monkeypatch.setattr(retry_policy, "MIN_PAUSE", 50)
    for steps in ("TRANSPORT", "QUOTA", "CREDENTIALS", "CONFIGURATION"):
        monkeypatch.setattr(cooldown, steps, (100,))
    yield
    assert ended == []
