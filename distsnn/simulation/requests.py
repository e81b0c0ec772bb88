"""What all ranks are asked for at once: whether they were asked for the same, and what each has."""

import hashlib
from typing import Any

import numpy as np

from distsnn.comm import Communicator, agreed
from distsnn.errors import DescriptionError
from distsnn.network import Value


def gathered(communicator: Communicator, own: Any, *request: str, where: str) -> list[Any]:
    """Return what every rank has, if all were asked for the same. Collective.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    own : object
        What this rank has.
    *request : str
        What it was asked for.
    where : str
        What is read or set, for errors.

    Raises
    ------
    DescriptionError
        If ranks were asked for different things.
    """
    found = communicator.allgather(((where, *request), own))
    for rank, (asked, _) in enumerate(found):
        if asked != found[0][0]:
            error = DescriptionError(
                f"rank {rank} was given other neurons, variables or values than rank 0",
                where=where,
                allowed="the same on all ranks",
            )
            raise agreed(error)
    return [part for _, part in found]


def value_digest(value: Value) -> str:
    """Return a hash by which ranks compare values."""
    data = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
    return hashlib.sha256(data).hexdigest()
