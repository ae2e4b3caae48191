"""Starting a process for what must not harm this one: no environment, no input but what it is
given, a session of its own. Its limits it sets itself, before it looks at anything."""

import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

KEPT: Final = 64 * 1024  # octets of a line, unless told otherwise


async def start(*arguments: str, limit: int = KEPT, fed: bool = False) -> Process:
    """Run Python with `arguments`; its output, and if `fed` its input, are pipes."""
    return await create_subprocess_exec(
        sys.executable,
        "-I",  # nothing of the environment or the working directory is looked at
        "-Xutf8",
        *arguments,
        stdin=PIPE if fed else DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        env={"PATH": os.defpath},
        limit=limit,
        start_new_session=True,  # Ctrl-C is for the parent, which will end it
    )
