"""The command of a sender's mailbox."""

from typing import Annotated

import typer

from ums.cli import output
from ums.cli.app import AsJson, ask, read_password, sender
from ums.cli.errors import fail


@sender.command("mailbox")
def sender_mailbox(
    code: str,
    host: Annotated[str | None, typer.Option(help="Its IMAP server; sets the mailbox.")] = None,
    port: Annotated[
        int, typer.Option(help="Mostly 993, or 143 with STARTTLS.", min=1, max=65535)
    ] = 993,
    encryption: Annotated[str, typer.Option(help="none, ssl or starttls.")] = "ssl",
    account: Annotated[str, typer.Option(help="The login; empty for the sender's.")] = "",
    password_file: Annotated[
        str | None, typer.Option(help="A file with the password; - reads it from the input.")
    ] = None,
    sent_folder: Annotated[
        str, typer.Option(help="Empty for the one that the server names so.")
    ] = "",
    inbox: Annotated[str, typer.Option(help="Where mails that came back arrive.")] = "INBOX",
    allow_port: Annotated[
        bool, typer.Option("--allow-port", help="Approve a port other than 143 and 993.")
    ] = False,
    look: Annotated[bool, typer.Option("--look", help="Look at once.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Look into it no more.")] = False,
    json: AsJson = False,
) -> None:
    """Look into a sender's mailbox: for mails in doubt, and for those that came back."""
    if host is None and password_file is not None:
        fail("give --host as well: it sets the mailbox")
    given = {
        "host": host,
        "port": port,
        "encryption": encryption,
        "account": account,
        "password": read_password(password_file),
        "sent_folder": sent_folder,
        "inbox": inbox,
        "allow_port": allow_port,
    }
    mailbox = None if host is None else given
    found = ask("sender.mailbox", code=code, mailbox=mailbox, remove=remove, look=look)
    if json:
        output.as_json(found)
    elif found is None:
        typer.echo("UMS looks into no mailbox of it.")
    else:
        output.record(found, raw=False)
