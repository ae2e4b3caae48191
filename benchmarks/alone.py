"""Runs one function of this package and prints what it measured: see `processes.measure`."""

import importlib
import json
import resource
import sys
import time
from collections.abc import Coroutine
from typing import Any

import uvloop


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    given = function(**json.loads(sys.argv[2]))
    if isinstance(given, Coroutine):
        given = uvloop.run(given)
    print(json.dumps(given))


class Watch:
    """Wall clock and processor time from its making on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, count: int) -> dict[str, Any]:
        """The rate of `count` things, and what each cost this process in microseconds."""
        seconds = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        return {"rate": count / seconds, "cpu": cpu / count * 1e6, "seconds": seconds}


def peak_memory() -> tuple[int, int]:
    """Octets this process, and the largest of its children, have taken at most."""
    own, child = (resource.getrusage(k) for k in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_maxrss * 1024, child.ru_maxrss * 1024


if __name__ == "__main__":
    main()
