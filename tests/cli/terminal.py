"""The `ums` command in processes of its own, as somebody at a terminal runs it.

They are forked from one that has loaded it already; with `anew` it is the whole start.
"""

import json
import os
import pty
import queue
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TextIO

from support import forked
from support.forked import Forked
from ums.config import Settings

SECONDS = 60  # for anything that must happen; nothing takes that long


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line of an error, less the "ums: "; anything else fails the test."""
        assert (self.status, self.out) == (1, ""), (self.status, self.out, self.err)
        head, line, *more = [*self.err.partition("ums: ")[1:], *self.err.split("\n")[1:]]
        assert (head, more) == ("ums: ", [""]), self.err
        return line.rstrip("\n")

    @property
    def error(self) -> dict[str, Any]:
        """The object that --json makes of an error."""
        assert self.status == 1, (self.status, self.out)
        found = json.loads(self.err)
        assert set(found) == {"code", "message", "reason"}
        return found


@dataclass
class Server:
    """A running `ums serve` or `ums work`; `lines` is what it said so far."""

    process: subprocess.Popen[bytes] | Forked
    voice: TextIO  # what it says on its error output
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        cookies = urllib.request.HTTPCookieProcessor()
        self._opener = urllib.request.build_opener(cookies)
        self._heard: queue.Queue[str | None] = queue.Queue()
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def _listen(self) -> None:
        with suppress(OSError):  # so a terminal ends
            for line in self.voice:
                self.lines.append(line.rstrip("\n"))
                self._heard.put(line)
        self._heard.put(None)

    def hear(self, text: str) -> str:
        """Wait until it says a line with `text`; that line."""
        while (line := self._heard.get(timeout=SECONDS)) is not None:
            if text in line:
                return line.rstrip("\n")
        raise AssertionError("it ended:\n" + "\n".join(self.lines))

    @property
    def url(self) -> str:
        return next(line.rpartition(" ")[2] for line in self.lines if "UMS is up at " in line)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its log lines."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def get(self, path: str) -> str:
        with self._opener.open(self.url + path, timeout=SECONDS) as answer:
            return answer.read().decode()

    def enter(self) -> str:
        """Follow the link that a screen shows; the sandbox's page."""
        [line] = [line for line in self.lines if "Mail of the sandbox: " in line]
        link = line.partition("sandbox: ")[2].partition(" ")[0]
        return self.get(link.removeprefix(self.url))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal; its exit status, which a graceful stop must give within 20 s."""
        self.process.send_signal(number)
        status = self.process.wait(20)
        self._ear.join(SECONDS)  # its workers have the pipe too: they must be gone as well
        return status


@dataclass(frozen=True)
class Terminal:
    """An environment to run `ums` in."""

    settings: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> "Terminal":
        own = {"UMS_DATA_DIR": str(settings.data_dir), "UMS_DATABASE_URL": settings.database_url}
        return cls({**own, "UMS_PORT": "0", "UMS_DEMO": str(settings.demo)})

    def also(self, **settings: str) -> "Terminal":
        return Terminal({**self.settings, **settings})

    @property
    def folder(self) -> Path:
        return Path(self.settings["UMS_DATA_DIR"])

    @property
    def _environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("UMS_")}
        return {**clean, "LC_ALL": "C.UTF-8", **self.settings}

    def ums(self, *arguments: str, input: str = "", anew: bool = False) -> Ran:
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(input.encode())
            given.seek(0)
            process = self._start(arguments, given, out, err, anew=anew)
            status = process.wait(SECONDS)
            out.seek(0)
            err.seek(0)
            return Ran(status, out.read().decode(), err.read().decode())

    @contextmanager
    def serve(
        self, *arguments: str, command: str = "serve", screen: bool = False, anew: bool = False
    ) -> Iterator[Server]:
        """A server that is up; with `screen` its error output is a terminal."""
        master, own = pty.openpty() if screen else os.pipe()
        with os.fdopen(own, "wb", 0) as err, Path(os.devnull).open("r+b") as nothing:
            process = self._start([command, *arguments], nothing, nothing, err, anew=anew)
        server = Server(process, os.fdopen(master, encoding="utf-8"))
        try:
            server.hear("UMS is up at" if command == "serve" else "engine started")
            if command == "serve":
                server.hear("/sandbox")
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _start(
        self,
        arguments: Sequence[str],
        given: IO[bytes],
        out: IO[bytes],
        err: IO[bytes],
        *,
        anew: bool,
    ) -> subprocess.Popen[bytes] | Forked:
        if anew:
            command = [sys.executable, "-m", "ums", *arguments]
            return subprocess.Popen(
                command, env=self._environment, stdin=given, stdout=out, stderr=err
            )
        return forked.start(
            arguments,
            self._environment,
            out.fileno(),
            errors=err.fileno(),
            input=given.fileno(),
        )
