"""Writes files so that a power cut leaves each whole: as it was before a write, or after it."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Create or replace a file, and have the system write it to the disk.

    The new content is written beside the file and is on the disk before it takes the file's name:
    a rename alone may leave an empty file.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    BinaryIO
        Where to write the content. If the body raises, the file stays as it was.

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
    """Rename a file or folder, and have the system write the new name to the disk."""
    path.rename(target)
    sync_path(target.parent)


def sync_path(path: Path) -> None:
    """Have the system write one file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
