"""The large arrays of a network's description, kept beside its JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from distsnn.errors import DescriptionError
from distsnn.io.nodes import (
    check_claim,
    create_array,
    create_group,
    location,
    open_array,
    open_node,
    store_errors,
)
from distsnn.io.schema import check_component

NETWORK = "network/arrays"

# Elements per chunk: 8 MiB of float64.
_CHUNK = 2**20


def store_arrays(
    root: zarr.Group, arrays: Mapping[str, np.ndarray[Any, Any]], *, under: str = NETWORK
) -> None:
    """Write arrays under a group of the store.

    Parameters
    ----------
    root : zarr.Group
        The store's root, writable.
    arrays : mapping of str to ndarray
        Arrays of numbers or booleans; a name may hold slashes ("projections/3/weight").
    under : str
        The group, created with its parents.

    Raises
    ------
    DescriptionError
        If a name or dtype cannot be stored.
    StoreError
        If it cannot be written.
    """
    parts = under.split("/")
    for depth in range(len(parts)):
        create_group(root, "/".join(parts[: depth + 1]), {})
    for name, array in arrays.items():
        where = f"{under}, array {name!r}"
        for component in name.split("/"):
            check_component(component, where=where)
        if array.dtype.kind not in "biuf":
            raise DescriptionError(
                "not an array of numbers", where=where, value=str(array.dtype), allowed="numbers"
            )
        # The last axes stay whole where they can: a chunk is a run of rows.
        rows = max(1, _CHUNK // max(1, int(np.prod(array.shape[1:], dtype=np.int64))))
        chunks = tuple(
            max(1, min(length, rows if axis == 0 else length))
            for axis, length in enumerate(array.shape)
        )
        path = f"{under}/{name}"
        dtype = array.dtype.newbyteorder("=").name
        stored = create_array(root, path, shape=array.shape, chunks=chunks, dtype=dtype)
        with store_errors(location(root, path), "cannot be written"):
            stored[...] = array


def load_arrays(root: zarr.Group, *, under: str = NETWORK) -> dict[str, np.ndarray[Any, Any]]:
    """Read all arrays under a group of the store, by name (empty where there is no such group).

    Raises
    ------
    StoreError
        If one is damaged. What an array's metadata claims is compared with the chunks that there
        are before memory is taken for it.
    """
    with store_errors(location(root, under), "cannot be read"):
        # zarr's own listing passes over what it cannot read
        folder = Path(location(root, under))
        found = [file.parent.relative_to(folder) for file in sorted(folder.rglob("zarr.json"))]
        names = [path.as_posix() for path in found if path.parts]
    names = [name for name in names if isinstance(open_node(root, f"{under}/{name}"), zarr.Array)]
    arrays = {}
    for name in names:
        stored = open_array(root, f"{under}/{name}")
        where = location(root, f"{under}/{name}")
        check_claim(stored)
        with store_errors(where, "cannot be read"):
            arrays[name] = np.asarray(stored[...])
    return arrays
