"""How somebody at the terminal finds out what there is."""

import pytest
from typer.testing import CliRunner

import ums.cli
from ums.cli.app import app

run = CliRunner()


@pytest.mark.parametrize("words", [["-h"], ["help"], ["sender", "-h"], ["help", "sender"]])
def test_short_help(words: list[str]) -> None:
    assert ums.cli.main
    found = run.invoke(app, words)
    assert found.exit_code == 0
    assert "Usage: ums" in found.output


def test_help_of_a_command_is_that_of_the_command() -> None:
    assert run.invoke(app, ["help", "sender", "test"]).output == (
        run.invoke(app, ["sender", "test", "--help"]).output
    )
    wrong = run.invoke(app, ["help", "sendr"])
    assert wrong.exit_code == 1


def test_the_shell_can_complete() -> None:
    shown = run.invoke(app, ["--help"]).output
    assert "--install-completion" in shown
