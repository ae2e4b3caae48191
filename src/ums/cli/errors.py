"""How the command tells what went wrong: one line for people, one object for programs."""

import json
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from ums.config import Settings, SettingsError, terminal_language
from ums.errors import UmsError

LONGEST = 500
_HERE = Path(__file__).parents[1]


class CommandError(Exception):
    """The command cannot go on; `reason` is a stable word for programs."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class ServerError(Exception):
    """The running server's own words about what is wrong."""

    def __init__(self, code: int, message: str, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


def fail(text: str, reason: str = "command") -> NoReturn:
    raise CommandError(text, reason)


def refuse_held(settings: Settings) -> NoReturn:
    """Say that the data folder is another process's, which alone may write there."""
    folder = settings.data_dir.absolute()
    fail(f"another UMS process holds {folder}; stop it first, or set UMS_DATA_DIR", "held")


def report(error: Exception, *, as_json: bool) -> None:
    """Print what `error` means to the error output."""
    code, message, reason = told(error)
    if as_json:
        line = json.dumps({"code": code, "message": message, "reason": reason}, ensure_ascii=False)
    else:
        line = f"ums: {message}"
    print(line, file=sys.stderr)


def told(error: Exception) -> tuple[int, str, str]:
    """(code, message, reason) as the API has them, in the words of the terminal's language."""
    if isinstance(error, UmsError):
        return error.code, _line(error.words(terminal_language())) + _cause(error), error.reason
    if isinstance(error, ServerError):
        return error.code, _line(str(error)), error.reason
    if isinstance(error, SettingsError):
        return 4004, _line(str(error)), "settings"
    if isinstance(error, CommandError):
        return 4004, _line(str(error)), error.reason
    if _is_database(error):
        return 5000, f"The database says: {_database(error)} (look closer: ums doctor)", "database"
    if isinstance(error, OSError):
        return 5000, _system(error), "system"
    kind = type(error).__name__
    return 5000, f"unexpected {kind}: {_line(str(error))} ({_place(error)})", "broken"


def _cause(error: UmsError) -> str:
    """What the driver said, where that tells more than our own words."""
    cause = error.__cause__
    if error.reason != "unavailable" or cause is None:
        return ""
    return f" ({_database(cause) if _is_database(cause) else _line(str(cause))})"


def _is_database(error: BaseException) -> bool:
    # By their marks, so that the drivers need not be imported to say that an option is wrong.
    return hasattr(error, "orig") or hasattr(error, "sqlstate")


def _database(error: BaseException) -> str:
    """The driver's own text: SQLAlchemy's adds the statement, which helps nobody here."""
    original: BaseException = getattr(error, "orig", None) or error
    return _line(str(original.__cause__ or original))


def _system(error: OSError) -> str:
    return _line(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _place(error: Exception) -> str:
    """Our own line that it happened in: a trace in a word, for the report of a defect."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(_HERE))]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _line(text: str) -> str:
    first = text.strip().partition("\n")[0]
    return "".join(char if char.isprintable() else " " for char in first)[:LONGEST]
