"""Atomic writes of files: after a power cut, a file has its old or its new content."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Create or replace a file, and sync it to the disk.

    The new content is written to another file and synced before it gets the file's name: a rename
    without a sync may leave an empty file.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    BinaryIO
        Stream for the content. If the body raises an exception, the file does not change.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with draft.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_path(path.parent)


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder, and sync the new name to the disk."""
    path.rename(target)
    sync_path(target.parent)


def sync_path(path: Path) -> None:
    """Sync one file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
