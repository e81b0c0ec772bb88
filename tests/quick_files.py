"""Store files in tests: not synced, and written without threads."""

import asyncio
import os
from collections.abc import Callable
from typing import Any


def use_quick_files(set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Do not wait for the disk: tests do not cut the power. Read and write Zarr's files at once.

    Zarr hands each file to a thread of a pool, which takes longer than the work on a small file.
    `set_attribute` may be a monkey patch's, which is undone.
    """

    async def at_once(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    set_attribute(os, "fsync", lambda descriptor: None)
    set_attribute(asyncio, "to_thread", at_once)
