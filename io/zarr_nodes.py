"""Groups and arrays of a store, created and opened according to the schema.

Only this module calls zarr. It does not use zarr's consolidated metadata, which would duplicate the
metadata of a growing store. A file is written beside the old one and renamed, so that a write of
attributes is atomic for readers, also after a power cut.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, MemoryStore

from distsnn.errors import StoreError
from distsnn.io.attributes import decode, encode
from distsnn.io.durable_files import atomic_write
from distsnn.io.node_files import (
    METADATA,
    ArrayLayout,
    array_layout,
    check_chunk,
    check_encoding,
    check_metadata_size,
    read_metadata,
)
from distsnn.io.schema import array_spec, group_spec

if TYPE_CHECKING:
    ZarrArray = zarr.Array[Any]
else:
    # Earlier versions of zarr have no parameters to their arrays.
    ZarrArray = zarr.Array


class _DurableStore(LocalStore):
    """A folder in which a replaced file has its old or its new content, even after a power cut.

    zarr writes new files. They are synced together before a checkpoint relies on them.
    """

    async def set(self, key: str, value: Buffer) -> None:
        if not await asyncio.to_thread(self._replace, key, value):
            await super().set(key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        if not self._replace(key, value):
            super().set_sync(key, value)

    def _replace(self, key: str, value: Buffer) -> bool:
        """Write a file if it exists, and return whether it does."""
        self._check_writable()
        path = self.root / key
        if path.name == METADATA:
            check_metadata_size(len(value), str(path.parent))
        if not path.exists():
            return False
        with atomic_write(path) as stream:
            stream.write(value.to_bytes())
        return True


# Chunks of fill values are written too, so that a missing chunk is always an error.
_CONFIG: Any = {"write_empty_chunks": True}


@contextmanager
def store_errors(path: str | os.PathLike[str], problem: str) -> Iterator[None]:
    """Convert exceptions of the file system and of zarr to a StoreError with the path."""
    try:
        yield
    except OSError as error:
        # zarr's own "not found" errors are OSErrors without an errno.
        raise StoreError(f"{problem}: {error.strerror or error}", path=str(path)) from error
    except MemoryError as error:
        raise StoreError(
            f"{problem}: too large for this machine's memory", path=str(path)
        ) from error
    except (ValueError, LookupError, TypeError, RuntimeError, ArithmeticError) as error:
        raise StoreError(f"{problem}: {type(error).__name__}: {error}", path=str(path)) from error


def location(group: zarr.Group | ZarrArray, path: str = "") -> str:
    """Return the file path of a node, for messages."""
    store = group.store
    root = str(store.root) if isinstance(store, LocalStore) else str(store)
    parts = [part for part in (group.path, path) if part]
    return "/".join([root, *parts])


def check_inside(group: zarr.Group | ZarrArray, path: str = "", *, done: str = "written") -> None:
    """Check that a path to be read or written is inside the store, after resolving links.

    A store in memory has no links.

    Raises
    ------
    StoreError
        If a link leads out of the store.
    """
    if isinstance(group.store, LocalStore):
        names = [name for name in f"{group.path}/{path}".split("/") if name]
        _check_no_link_outside(Path(group.store.root), names, done)


def _check_no_link_outside(root: Path, names: Sequence[str], done: str) -> None:
    way, strays = root, False
    where = root.joinpath(*names)
    with store_errors(where, "cannot be read"):
        for name in names:
            way /= name
            # checking for links is fast, resolving them is not
            strays = strays or name == ".." or way.is_symlink()
        inside = not strays or where.resolve().is_relative_to(root.resolve())
    if not inside:
        raise StoreError(f"a link leads out of the store: nothing is {done} there", path=str(where))


def open_root(path: Path, *, writable: bool = False) -> zarr.Group:
    """Open the root group of the store in the folder `path` (StoreError if it does not exist)."""
    with store_errors(path, "cannot be opened"):
        exists = path.exists()
    if not exists:
        raise StoreError("the path does not exist", path=str(path))
    _check_no_link_outside(path, [METADATA], "read")
    if read_metadata(path) is None:
        raise StoreError("not a Zarr store", path=str(path))
    with store_errors(path, "cannot be opened"):
        store = _DurableStore(path, read_only=not writable)
        return zarr.open_group(
            store, mode="r+" if writable else "r", zarr_format=3, use_consolidated=False
        )


def _stored_metadata(root: zarr.Group, path: str) -> dict[str, Any] | None:
    check_inside(root, f"{path}/{METADATA}", done="read")
    return read_metadata(Path(location(root, path)))


def stored_layout(root: zarr.Group, path: str, rows: int | None = None) -> ArrayLayout:
    """Return the layout of an array of the schema, without opening it.

    Parameters
    ----------
    root : zarr.Group
        The store's root, in a folder.
    path : str
        Path inside the store.
    rows : int, optional
        Minimum number of rows: the committed rows.

    Raises
    ------
    StoreError
        If it is missing, too short, or differs from the schema.
    """
    where, metadata = location(root, path), _stored_metadata(root, path)
    if metadata is None or metadata["node_type"] != "array":
        problem = "the array is missing" if metadata is None else "is a group, must be an array"
        raise StoreError(f"corrupt: {problem}", path=where)
    layout, spec = array_layout(metadata, Path(where)), array_spec(path)
    spec.check(layout.dtype, len(layout.shape), path=where)
    if spec.dims and layout.dims != spec.dims:
        raise StoreError(f"dimensions {layout.dims}, must be {spec.dims}", path=where)
    check_encoding(metadata, Path(where))
    if rows is not None and layout.shape[0] < rows:
        raise StoreError(f"corrupt: {rows} rows committed, {layout.shape[0]} stored", path=where)
    return layout


def new_root(path: Path) -> zarr.Group:
    """Create the root group of a new store in a folder that does not exist yet."""
    with store_errors(path, "cannot be created"):
        path.mkdir()
        return zarr.create_group(_DurableStore(path), zarr_format=3)


class InMemoryGroup:
    """Nodes that are created in memory, so that their files can be written together.

    For each node on disk, zarr makes several calls of the file system through other threads, which
    take some milliseconds.

    Attributes
    ----------
    root : zarr.Group
        Root for the nodes, at their paths inside the store.
    """

    def __init__(self) -> None:
        self._files: dict[str, Any] = {}
        self.root = zarr.create_group(MemoryStore(self._files), zarr_format=3)

    def files(self, path: str) -> dict[str, bytes]:
        """Return the contents of files by path below a group.

        Raises
        ------
        StoreError
            If metadata is larger than readers accept.
        """
        inside = f"{path}/"
        contents = {
            name.removeprefix(inside): content.to_bytes()
            for name, content in self._files.items()
            if name.startswith(inside)
        }
        for name, content in contents.items():
            if name.rpartition("/")[2] == METADATA:
                check_metadata_size(len(content), f"{inside}{name}")
        return contents


def create_group(root: zarr.Group, path: str, attributes: Mapping[str, Any]) -> zarr.Group:
    """Create a group with all its attributes in one write (StoreError if it exists)."""
    encoded = encode(attributes, where=path)
    group_spec(path).check(encoded, path=location(root, path), writing=True)
    check_inside(root, path)
    with store_errors(location(root, path), "cannot be created"):
        return root.create_group(path, attributes=encoded)


def open_group(root: zarr.Group, path: str) -> zarr.Group | None:
    """Open the group at `path`, or return None if it does not exist.

    Raises
    ------
    StoreError
        If it cannot be read, is an array, or is outside the store.
    """
    if _group_metadata(root, path) is None:
        return None
    node = _open_node(root, path)
    return node if isinstance(node, zarr.Group) else None


def stored_attributes(root: zarr.Group, path: str) -> dict[str, Any] | None:
    """Return the validated attributes of the group at `path`, or None if it does not exist.

    Only the file is read: zarr takes milliseconds to open a group through other threads.

    Raises
    ------
    StoreError
        If it cannot be read, is an array, is outside the store, or differs from the schema.
    """
    metadata = _group_metadata(root, path)
    if metadata is None:
        return None
    return _validated(metadata.get("attributes", {}), path, location(root, path))


def _group_metadata(root: zarr.Group, path: str) -> dict[str, Any] | None:
    metadata = _stored_metadata(root, path)
    if metadata is not None and metadata["node_type"] == "array":
        raise StoreError("is an array, must be a group", path=location(root, path))
    return metadata


def _open_node(root: zarr.Group, path: str) -> zarr.Group | ZarrArray | None:
    """Open the node at `path`, or return None if it was removed meanwhile."""
    with store_errors(location(root, path), "cannot be read"):
        try:
            node: zarr.Group | ZarrArray = root[path]
        except KeyError:
            return None
        return node


def write_attributes(group: zarr.Group, attributes: Mapping[str, Any]) -> None:
    """Change attributes of a group in one atomic write; others do not change."""
    encoded = encode(attributes, where=group.path)
    merged = {**group.attrs.asdict(), **encoded}
    group_spec(group.path).check(merged, path=location(group), writing=True)
    check_inside(group)
    check_present(group)
    with store_errors(location(group), "cannot be written"):
        group.update_attributes(encoded)


def check_present(group: zarr.Group) -> None:
    """Raise StoreError if a group was removed since it was opened: a write would create it."""
    if isinstance(group.store, LocalStore) and not Path(location(group), METADATA).is_file():
        raise StoreError("was removed while it was being written", path=location(group))


def read_attributes(group: zarr.Group) -> dict[str, Any]:
    """Return a group's attributes, validated."""
    return _validated(group.attrs.asdict(), group.path, location(group))


def _validated(attributes: Mapping[str, Any], path: str, where: str) -> dict[str, Any]:
    with store_errors(where, "corrupt"):  # for example, infinitely nested
        decoded: dict[str, Any] = {name: decode(value) for name, value in attributes.items()}
    # checked after decoding: a table may be a tagged number
    group_spec(path).check(decoded, path=where, writing=False)
    return decoded


def create_array(
    root: zarr.Group,
    path: str,
    *,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: str,
    units: str = "",
    doc: str = "",
) -> ZarrArray:
    """Create an array (zstd level 3 with byte shuffle, each chunk with a checksum).

    Parameters
    ----------
    root : zarr.Group
        The store's root.
    path : str
        Path inside the store, which must be in the schema.
    shape, chunks : tuple of int
        As in zarr.
    dtype : str
        A type that the schema allows.
    units, doc : str
        Unit and meaning, if the schema does not define them.

    Raises
    ------
    StoreError
        If the schema does not allow the array, or it exists, or it cannot be written.
    """
    spec = array_spec(path)
    where = location(root, path)
    spec.check(dtype, len(shape), path=where)
    check_inside(root, path)
    itemsize = np.dtype(dtype).itemsize
    blosc = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle", typesize=itemsize)
    with store_errors(where, "cannot be created"):
        return root.create_array(
            path,
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            compressors=[blosc, Crc32cCodec()],
            fill_value=spec.fill.get(dtype, 0),
            dimension_names=list(spec.dims) or None,
            attributes={"units": spec.unit or units, "long_name": doc or spec.doc},
            config=_CONFIG,
        )


def check_chunks_exist(array: ZarrArray, start: int = 0, stop: int | None = None) -> None:
    """Check, before memory is allocated, that the files can contain rows [start, stop).

    The metadata of an array can declare any size. The existing files bound the allocation.

    Raises
    ------
    StoreError
        If a chunk is missing, or its file cannot contain a chunk of this array.
    """
    where = location(array)
    metadata = read_metadata(Path(where))
    if metadata is None:
        raise StoreError("corrupt: is missing", path=where)
    layout = array_layout(metadata, Path(where))
    check_encoding(metadata, Path(where))
    low, high, _ = slice(start, stop).indices(layout.shape[0] if layout.shape else 1)
    # stop at the first missing chunk
    for index in layout.chunk_indices(low, high):
        check_inside(array, array.metadata.encode_chunk_key(index), done="read")
        check_chunk(layout.chunk_file(index), layout.chunk_bytes)


def chunk_file(array: ZarrArray, index: tuple[int, ...]) -> Path:
    """Return the file of a chunk, given its index along each axis."""
    return Path(location(array), array.metadata.encode_chunk_key(index))


def open_array(root: zarr.Group, path: str) -> ZarrArray:
    """Open an array and validate it (StoreError if it is missing or differs from the schema)."""
    stored_layout(root, path)
    node = _open_node(root, path)
    if not isinstance(node, zarr.Array):  # it was removed meanwhile
        raise StoreError("corrupt: the array is missing", path=location(root, path))
    return node
