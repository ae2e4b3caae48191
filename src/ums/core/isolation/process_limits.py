"""What a child process (`child_process`) does to itself before it looks at what it was given."""

import os
import resource

from msgspec import Struct


class Limits(Struct, frozen=True):
    """What a child may take: octets of memory, seconds of the processor."""

    memory: int = 256 * 1024 * 1024
    seconds: int = 5


def confine(limits: Limits) -> None:
    """More than that ends this process, or is a MemoryError; it writes no files, and mail goes
    first."""
    for limit, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    os.nice(5)
