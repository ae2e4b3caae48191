"""Named places at which a test may have this process killed, as `kill -9` would."""

import os
import signal

_armed = ""
_left = 0


def arm(point: str) -> None:
    """Kill this process the next time it reaches `point`, or with `name:5` the fifth time; ""
    disarms. Setting `UMS_FAIL_POINT`."""
    global _armed, _left  # noqa: PLW0603  (one process, one fail point)
    _armed, _, times = point.partition(":")
    _left = int(times or 1)


def reach(name: str) -> None:
    global _left  # noqa: PLW0603
    if name == _armed:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
