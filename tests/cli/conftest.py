"""`ums` in this process, for the many small questions; `cli.terminal` has the real one."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.terminal import Ran, Terminal
from ums.cli import connection, main
from ums.config import Settings

Ums = Callable[..., Ran]
ACCOUNT = ("--host", "smtp.example.com", "--from", '"Ums 张" <ums@example.com>', "--name", "Mail")


def create_sender(ums: Ums, folder: Path, *more: str, port: str = "465") -> Ran:
    password = folder / "password"
    password.write_text("canary-password\n")
    secret = ("--account", "ums@example.com", "--password-file", str(password))
    options = ("--code", "mail", "--port", port, "--encryption", "ssl", *ACCOUNT, *secret)
    return ums("sender", "create", *options, *more)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ums:
    """Run `ums` with the settings of a terminal, in this process, which is quicker."""
    # The logs and the umask are this process's own.
    monkeypatch.setattr(connection, "configure", lambda _: None)
    monkeypatch.setattr(os, "umask", lambda _: 0)

    def run(terminal: Terminal, *arguments: str) -> Ran:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["ums", *arguments])
            patch.setenv("LC_ALL", "C.UTF-8")
            for name, value in terminal.settings.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        status = ended.value.code or 0
        assert isinstance(status, int)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def terminal(settings: Settings) -> Terminal:
    """One on a migrated database of either kind."""
    return Terminal.of(settings)


@pytest.fixture
def bare(tmp_path: Path) -> Terminal:
    """One where UMS never ran: SQLite, and the data folder is not even there."""
    return Terminal.of(Settings(data_dir=tmp_path / "new" / "var", demo=False))


@pytest.fixture
def ums(terminal: Terminal, here: Ums) -> Ums:
    def run(*arguments: str) -> Ran:
        return here(terminal, *arguments)

    return run


@pytest.fixture
def orders(ums: Ums) -> Ums:
    """With a channel 1234."""
    ums("channel", "create", "Orders", "--key", "1234")
    return ums


@pytest.fixture
def sending(orders: Ums, tmp_path: Path) -> Ums:
    """With a channel 1234 that has a sender."""
    create_sender(orders, tmp_path, "--channel", "1234")
    return orders
