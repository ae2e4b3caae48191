"""Commands of the key that seals stored secrets."""

from typing import Any

import typer

from ums.cli import output
from ums.cli.app import AsJson, app, ask

key = typer.Typer(help="The key that encrypts stored secrets.", no_args_is_help=True)
app.add_typer(key, name="key")


@key.command("show")
def key_show(json: AsJson = False) -> None:
    """Show which keys are known and how many stored secrets each encrypted."""
    _print(ask("key.show"), raw=json)


@key.command("add")
def key_add(json: AsJson = False) -> None:
    """Add a new key to the key file without using it yet: the first step on several machines."""
    _print(ask("key.add"), raw=json)


@key.command("rotate")
def key_rotate(json: AsJson = False) -> None:
    """Encrypt every stored secret with a new key, or finish a rotation that was interrupted."""
    _print(ask("key.rotate"), raw=json)


@key.command("adopt")
def key_adopt(json: AsJson = False) -> None:
    """Encrypt new secrets with the key of this data folder, as the one before is lost."""
    _print(ask("key.adopt"), raw=json)


@key.command("retire")
def key_retire(json: AsJson = False) -> None:
    """Remove keys that no stored secret needs from the key file: the last step."""
    _print(ask("key.retire"), raw=json)


def _print(status: dict[str, Any], *, raw: bool) -> None:
    if raw:
        output.as_json(status)
        return
    sealed: dict[str, int] = status["sealed"]
    told = {
        "sealing": status["sealing"],
        "source": status["source"],
        "secrets": ", ".join(f"{name}: {count}" for name, count in sealed.items()),
        "unreadable": status["unreadable"],
        "retired": " ".join(status["retired"]) or None,
    }
    output.record(told, raw=False)
