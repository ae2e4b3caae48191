"""Starting a process for what must not harm this one: no environment, no input but what it is
given, a session of its own. Its limits it sets itself (`process_limits`), before it looks at
anything."""

import asyncio
import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import ums

KEPT: Final = 64 * 1024  # octets of a line, unless told otherwise
ROOT: Final = str(Path(ums.__file__).parents[1])
_PROGRAM: Final = "import sys; sys.path.insert(0, sys.argv[1]); from {} import main; main()"


async def start(
    *arguments: str,
    limit: int = KEPT,
    fed: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Run Python with `arguments`; its output, and if `fed` its input, are pipes."""
    return await create_subprocess_exec(
        sys.executable,
        "-I",  # nothing of the environment or the working directory is looked at
        "-Xutf8",
        *arguments,
        stdin=PIPE if fed else DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        env={"PATH": os.defpath, **(environment or {})},
        limit=limit,
        start_new_session=True,  # Ctrl-C is for the parent, which will end it
    )


async def answer(
    module: str, task: bytes, patience: float, environment: Mapping[str, str] | None = None
) -> tuple[bytes, int]:
    """What the `main` of `module` writes when it reads `task`, and its exit code: -9 and nothing
    where that takes more than `patience` seconds."""
    program = _PROGRAM.format(module)
    process = await start("-c", program, ROOT, fed=True, environment=environment)
    try:
        async with asyncio.timeout(patience):
            output, _ = await process.communicate(task)
    except TimeoutError:
        return b"", -9
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    return output, process.returncode or 0
