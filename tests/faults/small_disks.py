"""Disks of a few bytes, for those who may mount them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """Mount a disk of a size that tmpfs understands at a new folder, or skip the test."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "distsnn-test", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
