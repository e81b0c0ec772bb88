"""Disks of a few bytes and folders that cannot be written, for those who may mount them."""

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
    with _mount("a disk", place, "-t", "tmpfs", "-o", f"size={size}", "distsnn-test", str(place)):
        yield place


@contextmanager
def read_only(place: Path) -> Iterator[Path]:
    """Let a folder be read-only, even for root, or skip the test."""
    with _mount("a folder", place, "--bind", "-o", "ro", str(place), str(place)):
        yield place


@contextmanager
def _mount(source: str, place: Path, *words: str) -> Iterator[None]:
    if os.getuid() != 0 or subprocess.run(["mount", *words], capture_output=True).returncode != 0:
        pytest.skip(f"this user may not mount {source}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)
