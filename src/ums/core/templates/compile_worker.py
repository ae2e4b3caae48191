"""The child process: compiles a template's sources and can do no harm while it does.

Sources come as JSON on stdin, a `Result` goes as JSON to stdout. It has no environment, no
database, no secrets; its memory and time end before the machine's do (reliability.md, threats 1
and 13).
"""

import sys

import msgspec
from msgspec import Struct

from ums.core.isolation.process_limits import Limits, confine
from ums.core.templates.compiler import Flawed, Result, Sources, build
from ums.core.templates.parser import Problem
from ums.errors import Detail


class Task(Struct, frozen=True):
    sources: Sources
    limits: Limits


def main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    confine(task.limits)
    sys.stdout.buffer.write(msgspec.json.encode(_result(task.sources)))


def _result(sources: Sources) -> Result:
    try:
        return build(sources)
    except (MemoryError, ImportError):  # no room, not even to load what it takes
        raise
    except Exception as error:  # whatever the parsers raise on what they cannot read
        words = " ".join(str(error).split())[:200] or type(error).__name__
        return Flawed([Problem.of("html", 1, Detail("template_unread", told=words))])
