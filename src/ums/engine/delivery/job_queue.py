"""What a lane has claimed and not yet begun."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from ums.core.deliveries.message_id import Signer
from ums.core.deliveries.queue import Claimed
from ums.core.tables.states import Priority
from ums.engine.delivery.crash_marker import CrashMarker
from ums.engine.delivery.message_cache import PreparedMessage

PRIORITIES = tuple(Priority)
TURN = 20  # jobs that go before one of a later priority


class DeliveryJob(Struct):
    """A claimed delivery with its mail, rendered when its turn comes."""

    claimed: Claimed
    message: PreparedMessage
    priority: int
    mail: Any = None  # as its sender type has it; None: not rendered yet
    started_at: int = 0
    clock: float = 0.0

    def render(self, signer: Signer, mark: CrashMarker) -> tuple[str, str] | None:
        """Fill in the mail; the reason and the problem when that cannot be done."""
        if self.mail is None:
            try:
                with mark.making(self.claimed.id):
                    self.mail = self.message.render(self.claimed, signer)
            except Exception as error:  # a mail that breaks us must fail alone
                reason = getattr(error, "reason", "content_unusable")
                return reason, f"{type(error).__name__}: {error}"
        return None

    @property
    def name(self) -> tuple[int, int]:
        return self.claimed.id, self.claimed.epoch


class JobQueue:
    """Jobs in the order they go: the urgent before the others, else as they came. What others go
    before all the time has its turn after `TURN` of them."""

    def __init__(self) -> None:
        self._queues: dict[int, deque[DeliveryJob]] = {priority: deque() for priority in PRIORITIES}
        self._passed: dict[int, int] = dict.fromkeys(PRIORITIES, 0)

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def has(self, priority: int) -> bool:
        return bool(self._queues[priority])

    def ahead_of(self, priority: int) -> int:
        """How many jobs go before a new one of `priority`."""
        return sum(len(self._queues[level]) for level in PRIORITIES if level <= priority)

    def add(self, jobs: Iterable[DeliveryJob]) -> None:
        for job in jobs:
            self._queues[job.priority].append(job)

    def put_back(self, job: DeliveryJob) -> None:
        """`job` is next among its equals."""
        self._queues[job.priority].appendleft(job)

    def first(self, *, urgent_only: bool = False) -> DeliveryJob | None:
        found: DeliveryJob | None = None
        for level in PRIORITIES[:1] if urgent_only else PRIORITIES:
            queue = self._queues[level]
            if queue and (found is None or self._passed[level] >= TURN):
                found = queue[0]
        return found

    def take(self, *, urgent_only: bool = False) -> DeliveryJob | None:
        """The first job, which then waits no more."""
        job = self.first(urgent_only=urgent_only)
        if job is None:
            return None
        for level in PRIORITIES:
            self._passed[level] += 1 if level > job.priority and self._queues[level] else 0
        self._passed[job.priority] = 0
        return self._queues[job.priority].popleft()

    def names(self) -> set[tuple[int, int]]:
        """(id, epoch) of the deliveries that wait."""
        return {job.name for queue in self._queues.values() for job in queue}

    def remove(self, names: set[tuple[int, int]]) -> None:
        jobs = self.take_all()
        self.add(job for job in jobs if job.name not in names)

    def take_from(self, priority: int) -> list[DeliveryJob]:
        """The jobs that are not more urgent than `priority`, which then wait no more."""
        later = [self._queues[level] for level in PRIORITIES if level >= priority]
        jobs = [job for queue in later for job in queue]
        for queue in later:
            queue.clear()
        return jobs

    def take_all(self) -> list[DeliveryJob]:
        return self.take_from(PRIORITIES[0])
