"""Where the runs of the cases are."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Runs:
    """Where the runs are."""

    folder: Path

    def path(self, way: str, case: str) -> Path:
        return self.folder / way / f"{case}.zarr"

    def counted(self, way: str) -> dict[str, dict]:
        found: dict[str, dict] = json.loads((self.folder / f"{way}.json").read_text())
        return found
