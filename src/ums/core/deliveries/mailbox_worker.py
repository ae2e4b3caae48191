"""The child process in which a mailbox is looked at. What comes from there is whatever the server,
and everybody who can write to the account, likes to send; here it takes no more than its share of
memory and time along (reliability.md, threats 20 and 42).

A `Task` comes as JSON on stdin, an `Answer` goes as JSON to stdout.
"""

import signal
import sys
from typing import Final

import msgspec
from msgspec import Struct

from ums import trust
from ums.core.isolation.process_limits import Limits, confine
from ums.mail.imap import MailboxError, MailboxSettings, Seen, Sought, visit

LONGEST: Final = 600  # seconds of a visit
LIMITS: Final = Limits(seconds=60)


class Task(Struct, frozen=True):
    settings: MailboxSettings
    password: str
    sought: Sought
    ca_file: str = ""


class Failure(Struct, frozen=True, tag=True):
    """A MailboxError."""

    reason: str
    detail: str
    cause: str = ""


class Success(Struct, frozen=True, tag=True):
    seen: Seen


Answer = Success | Failure


def main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    signal.alarm(LONGEST)  # and nobody else may be left to end it
    trust.use(task.ca_file)
    confine(LIMITS)
    sys.stdout.buffer.write(msgspec.json.encode(_answer(task)))


def _answer(task: Task) -> Answer:
    try:
        return Success(visit(task.settings, task.password, task.sought))
    except MailboxError as error:
        return Failure(error.reason, error.detail, error.cause)
    except MemoryError:
        return Failure("mailbox_nonsense", "it sends more than there is memory for")
