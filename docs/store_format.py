#!/usr/bin/env python3
"""Update the example of store-format.md: run its script, and print the attributes of its store.

    .venv/bin/python docs/store_format.py

Run it after a change of network descriptions or of the schema; a test detects when.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import zarr

from distsnn.io import schema

PAGE = Path(__file__).parent / "store-format.md"
WIDTH = 108
SCRIPT = re.compile(r"<!-- script of the example -->\n```python\n(.*?)```", re.DOTALL)
EXAMPLE = re.compile(r"(<!-- example -->\n```json\n).*?(\n```\n<!-- end of example -->)", re.DOTALL)
# What differs with the day and the machine.
FIXED = {
    "created": "2026-01-01T12:00:00+00:00",
    "wall": {"build_s": 0.31, "run_s": 0.045, "real_time_factor": 0.45},
}


def shown(value: object, indent: int = 0, used: int = 0) -> str:
    """Return JSON in which what fits into a line takes one."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent + used <= WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner, end = " " * (indent + 2), " " * indent
    if isinstance(value, list):
        lines = [shown(item, indent + 2) for item in value]
    else:
        lines = [
            f"{json.dumps(key)}: {shown(item, indent + 2, len(key) + 4)}"
            for key, item in value.items()
        ]
    first, last = "[]" if isinstance(value, list) else "{}"
    return f"{first}\n{inner}" + f",\n{inner}".join(lines) + f"\n{end}{last}"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "example.py").write_text(SCRIPT.search(text)[1], encoding="utf-8")
        subprocess.run([sys.executable, "example.py"], cwd=folder, check=True)
        stored = zarr.open_group(f"{folder}/run.zarr", mode="r").attrs.asdict()
    names = [attribute.name for attribute in schema.group_spec("").attributes]
    example = shown({name: stored[name] for name in names if name in stored} | FIXED)
    PAGE.write_text(EXAMPLE.sub(lambda match: match[1] + example + match[2], text), "utf-8")


if __name__ == "__main__":
    main()
