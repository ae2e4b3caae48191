"""When a batch that was not taken is tried again (ums-spec 5.2; reliability.md 4.6)."""

import random
from typing import Final

from ums import clock

HOSTED: Final = "hosted"  # as the hosted UMS does: in order, three more tries
STANDARD: Final = "standard"  # as Standard Webhooks advises: ten tries over 75 hours

STEPS: dict[str, tuple[float, ...]] = {
    HOSTED: (50 * clock.SECOND,) * 3,
    STANDARD: (
        5 * clock.SECOND,
        5 * clock.MINUTE,
        30 * clock.MINUTE,
        2 * clock.HOUR,
        5 * clock.HOUR,
        10 * clock.HOUR,
        14 * clock.HOUR,
        20 * clock.HOUR,
        24 * clock.HOUR,
    ),
}
JITTER: Final = 0.2
LONGEST_HINT: Final = clock.HOUR
PATIENCE = 5 * 24 * clock.HOUR
"""After failing for so long without a success an address of schedule `standard` is disabled."""

REST_STEP = 5 * clock.SECOND
REST_MOST = 5 * clock.MINUTE


def pause(schedule: str, tries: int, hint: int = 0) -> int | None:
    """ms until the next try after `tries` that failed; None: it was the last.

    `hint` is the receiver's Retry-After in ms, which only the schedule `standard` heeds.
    """
    steps = STEPS[schedule]
    if tries > len(steps):
        return None
    step = steps[tries - 1]
    if schedule == HOSTED:
        return round(step)
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return max(round(step * spread), min(hint, LONGEST_HINT))


def rest(schedule: str, failures: int, hint: int = 0) -> int:
    """ms for which an address gets nothing at all after so many failures in a row.

    With `hosted` that follows from the order, which is kept: the first batch holds the others up.
    With `standard` others overtake the one that waits, but not all at once where nobody answers.
    """
    if schedule == HOSTED:
        return 0
    step = min(REST_STEP * 2 ** min(failures - 1, 20), REST_MOST)
    return max(round(step), min(hint, LONGEST_HINT))
