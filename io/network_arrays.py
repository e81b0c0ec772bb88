"""Large arrays of a network description, stored beside its JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import zarr

from distsnn.errors import DescriptionError
from distsnn.io.schema import check_component
from distsnn.io.zarr_nodes import (
    check_chunks_exist,
    create_array,
    create_group,
    location,
    open_array,
    store_errors,
)

NETWORK = "network/arrays"

# Elements per chunk: 8 MiB of float64.
_CHUNK = 2**20


def store_arrays(root: zarr.Group, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write the arrays of a network description to a store.

    Parameters
    ----------
    root : zarr.Group
        The store's root, writable.
    arrays : mapping of str to ndarray
        Arrays of numbers or booleans; a name may contain slashes ("projections/3/weight").

    Raises
    ------
    DescriptionError
        If a name or dtype cannot be stored.
    StoreError
        If it cannot be written.
    """
    parts = NETWORK.split("/")
    for depth in range(len(parts)):
        create_group(root, "/".join(parts[: depth + 1]), {})
    for name, array in arrays.items():
        where = f"{NETWORK}, array {name!r}"
        for component in name.split("/"):
            check_component(component, where=where)
        if array.dtype.kind not in "biuf":
            raise DescriptionError(
                "not an array of numbers", where=where, value=str(array.dtype), allowed="numbers"
            )
        # The last axes are not divided if possible: a chunk contains consecutive rows.
        chunks, left = list[int](), _CHUNK
        for length in reversed(array.shape):
            chunks.insert(0, max(1, min(length, left)))
            left = max(1, left // chunks[0])
        path = f"{NETWORK}/{name}"
        dtype = array.dtype.newbyteorder("=").name
        stored = create_array(root, path, shape=array.shape, chunks=tuple(chunks), dtype=dtype)
        with store_errors(location(root, path), "cannot be written"):
            stored[...] = array


def load_arrays(root: zarr.Group, names: Iterable[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read arrays of a network description in a store, by name.

    Raises
    ------
    StoreError
        If one is missing or corrupt. Declared sizes are compared with the existing chunks before
        memory is allocated.
    """
    arrays = {}
    for name in names:
        stored = open_array(root, f"{NETWORK}/{name}")
        where = location(root, f"{NETWORK}/{name}")
        check_chunks_exist(stored)
        with store_errors(where, "cannot be read"):
            arrays[name] = np.asarray(stored[...])
    return arrays
