"""Assigns blocks of neurons to ranks, and slices of populations to cores of boards."""

from typing import TYPE_CHECKING, Any

from distsnn.public_api import no_such_name

if not TYPE_CHECKING:  # to which a module with __getattr__ has any name

    def __getattr__(name: str) -> Any:
        raise no_such_name(__name__, name)
