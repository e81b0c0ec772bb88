#!/usr/bin/env python3
"""Print a command of the README: .ci/readme_command.py NAME < README.md.

It is the text of the first ```bash block after the line ``<!-- command: NAME -->``, so that what a
reader copies is what CI runs.
"""

import re
import sys


def command(name: str, text: str) -> str:
    """Return the command called `name` in the text of a README.

    Raises
    ------
    ValueError
        If there is no such marker with a ```bash block, or it does not make its own environment.
    """
    marker = rf"^<!-- command: {re.escape(name)} -->\n+```bash\n(.+?)\n```$"
    found = re.findall(marker, text, flags=re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"{len(found)} blocks marked 'command: {name}' in the README, not 1")
    if not found[0].startswith("python3 -m venv "):
        raise ValueError(f"the README's command {name!r} does not begin with python3 -m venv")
    return found[0]


if __name__ == "__main__":
    try:
        print(command(sys.argv[1], sys.stdin.read()))
    except (IndexError, ValueError) as error:
        sys.exit(f"readme_command: {error}")
