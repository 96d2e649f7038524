"""The shell blocks of a page, run as they stand there."""

import asyncio
import os
import re
from pathlib import Path

from tests.integration.contracts.evm import ROOT

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANSWER = re.compile(r"^(?P<command>.*\S) +# => (?P<answer>.+)$")


def sections(page: Path) -> dict[str, str]:
    """The commands under each heading that has any."""
    found = {}
    for part in page.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        if blocks := _BLOCK.findall(text):
            found[heading] = "".join(blocks)
    return found


class Shell:
    """Runs sections one after the other; a variable that one of them sets is there in the next."""

    def __init__(self, variables: dict[str, str]) -> None:
        binary = next(iter(sorted(ROOT.glob("node_modules/@foundry-rs/cast-*/bin/cast"))))
        path = f"{binary.parent}:{os.environ['PATH']}"
        self.variables = {**os.environ, "PATH": path, "NO_COLOR": "1", **variables}

    async def run(self, commands: str) -> None:
        """Fails on the first command that fails, and on the first answer that is not the page's."""
        read, write = os.pipe()
        lines = ["set -aeuo pipefail", *map(_checked, commands.splitlines()), f"env -0 >&{write}"]
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", "\n".join(lines), env=self.variables, pass_fds=(write,),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        os.close(write)
        _, said = await process.communicate()
        with os.fdopen(read, encoding="utf-8") as pipe:
            left = pipe.read()
        assert process.returncode == 0, said.decode()
        self.variables = dict(each.split("=", 1) for each in left.split("\0") if each)


def _checked(line: str) -> str:
    found = _ANSWER.match(line)
    if found is None:
        return line
    said = f'echo "$answer is not what the page says:" {_quoted(line)} >&2'
    return f'answer=$({found["command"]}); [ "$answer" = "{found["answer"]}" ] || {{ {said}; exit 1; }}'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
