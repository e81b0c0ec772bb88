"""Writer of a run store and its attempts, on rank 0 only, before the ranks open their groups."""

import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import zarr
from numpy.typing import NDArray

from distsnn.errors import DescriptionError, StoreError
from distsnn.io.checkpoint_files import CHECKPOINT, sync
from distsnn.io.durable_files import rename
from distsnn.io.network_arrays import store_arrays
from distsnn.io.processes import process_start_time
from distsnn.io.reader import StoreReader
from distsnn.io.schema import FORMAT, FORMAT_VERSION, attempt_path
from distsnn.io.zarr_nodes import (
    check_inside,
    create_group,
    new_root,
    open_group,
    open_root,
    store_errors,
    write_attributes,
)

# Files that `atomic_write` and zarr write before they rename them.
_LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.partial$")
_LAST_FILES_S = 2.0  # maximum time in which pending writes of zarr end


class RunWriter:
    """The root of a run's store and its current attempt.

    Use `create` or `resume`.

    Attributes
    ----------
    path : Path
        The store.
    attempt : int
        The current attempt, which `RankWriter` needs.
    """

    def __init__(self, path: Path, root: zarr.Group, attempt: int) -> None:
        self.path, self.attempt = path, attempt
        self._root = root
        group = open_group(root, attempt_path(attempt))
        if group is None:
            raise StoreError(f"attempt {attempt} does not exist", path=str(path))
        self._attempt_group = group

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        metadata: Mapping[str, Any],
        network: tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]],
        ranks: int,
        *,
        overwrite: bool = False,
        start_step: int = 0,
        assignment: Mapping[str, Any] | None = None,
    ) -> Self:
        """Create a store with its first attempt, atomically.

        Parameters
        ----------
        path : str or PathLike
            Path of the store; missing parent folders are created.
        metadata : mapping
            The root's attributes as in `distsnn.io.schema`, without format, format_version,
            network and complete.
        network : (mapping, mapping of str to ndarray)
            The description as JSON, and its arrays.
        ranks : int
            Number of ranks of the first attempt.
        overwrite : bool
            Replace an existing run.
        start_step : int
            The step after which it starts.
        assignment : mapping, optional
            Assignment of blocks to ranks.

        Raises
        ------
        StoreError
            If something exists at `path` (with `overwrite`: something that is not a run), or it
            cannot be written.
        DescriptionError
            If the metadata cannot be stored.
        """
        attempt = _attempt(ranks, start_step, assignment, metadata.get("versions"))
        target = _create_store(path, metadata, network, attempt, overwrite=overwrite)
        return cls(target, open_root(target, writable=True), 0)

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        ranks: int,
        *,
        start_step: int,
        saved_by: int,
        reader: StoreReader | None = None,
        assignment: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Self:
        """Add the next attempt to a run; later steps of earlier attempts are superseded.

        Committed data is not rewritten. Incomplete files of a killed attempt are removed, and
        attempts after `saved_by` that are unreadable after a power cut.

        Parameters
        ----------
        path : str or PathLike
            The run.
        ranks : int
            Number of ranks of the new attempt.
        start_step : int
            The step after which it starts.
        saved_by : int
            The attempt that saved its checkpoint; -1: no attempt of this run.
        reader : StoreReader, optional
            A reader of the run with `resuming`, if the run has not been written since.
        assignment : mapping, optional
            Assignment of blocks to ranks.
        versions : mapping, optional
            Versions of distsnn, Python and libraries.

        Raises
        ------
        StoreError
            If the run does not exist, a required attempt is unreadable, or a write fails.
        """
        target = Path(path).resolve()
        reader = reader or StoreReader(target, skip_damaged_attempts=True)
        attempt = len(reader.attempts)
        if reader.damage is not None and attempt <= saved_by:
            raise reader.damage
        root = open_root(target, writable=True)
        # first: a run with another attempt is not complete, and removed attempts are not listed
        write_attributes(root, {"complete": False, "attempts": attempt})
        with store_errors(target, "cannot be removed"):
            for leftover in target.rglob("*.partial"):
                if _LEFTOVER.search(leftover.name) and leftover.is_file():
                    leftover.unlink()
            _sweep_attempts(root, target, attempt)
        attributes = _attempt(ranks, start_step, assignment, versions)
        create_group(root, attempt_path(attempt), attributes)
        sync(target / attempt_path(attempt))
        # last: a listed attempt is on the disk
        write_attributes(root, {"attempts": attempt + 1})
        return cls(target, root, attempt)

    def update(self, **attributes: Any) -> None:
        """Change attributes of the root (``complete``, ``wall``, ``time_ms``, ...) in one write."""
        write_attributes(self._root, attributes)

    def update_attempt(self, **attributes: Any) -> None:
        """Change attributes of the attempt (``recordings``, ``last_step``, ...) in one write."""
        write_attributes(self._attempt_group, attributes)


def create_state_store(
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any],
    network: tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]],
) -> None:
    """Create a store for saved states: it has no attempt until a run continues in it.

    Parameters and errors as in `RunWriter.create`.
    """
    _create_store(path, metadata, network, None)


def write_script_changes(path: str | os.PathLike[str], names: list[str]) -> None:
    """Record the names that a script has set (StoreError if they cannot be written)."""
    write_attributes(open_root(Path(path), writable=True), {"script_changes": names})


def _create_store(
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any],
    network: tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]],
    attempt: Mapping[str, Any] | None,
    *,
    overwrite: bool = False,
) -> Path:
    """Create a store, with a first attempt if its attributes are given."""
    target = Path(path).resolve()
    check_output_path(target, overwrite=overwrite)
    _check_populations(metadata.get("populations"))
    with store_errors(target.parent, "cannot be created"):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep_beside(target)
    # A name beside the target, so that the rename stays within one file system.
    build = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        root = new_root(build)
        write_attributes(
            root,
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                **metadata,
                "network": network[0],
                "arrays": list(network[1]),
                "attempts": 0 if attempt is None else 1,
                "complete": False,
            },
        )
        store_arrays(root, network[1])
        if attempt is not None:
            create_group(root, attempt_path(0), attempt)
        sync(build)
        _move(build, target, overwrite=overwrite)
    except BaseException as error:
        _remove(build)
        if isinstance(error, StoreError):
            # The user knows the target, not the folder it was built in.
            displayed = error.path.replace(str(build), str(target))
            raise StoreError(error.problem, path=displayed) from error
        raise
    return target


def check_output_path(
    path: str | os.PathLike[str], *, overwrite: bool = False, resume: bool = False
) -> None:
    """Check, without writing, that a run can be created or continued at a path.

    Raises
    ------
    StoreError
        If its name starts with a dash, so that commands would read it as an option. If the path
        exists (with `overwrite`: if it is not a run), or no folder can be created there; with
        `resume`, if an existing folder is not writable.
    """
    with store_errors(path, "cannot be created"):
        target = Path(path).resolve()
        exists = target.exists()
    if target.name.startswith("-"):
        raise StoreError("a name that starts with a dash is read as an option", path=str(target))
    if not exists:
        parent = next(folder for folder in target.parents if folder.exists())
        if not parent.is_dir():
            problem = f"cannot be created: {parent} exists and is not a folder"
            raise StoreError(problem, path=str(target))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise StoreError(f"cannot be created: {parent} is not writable", path=str(target))
        return
    if resume:
        for folder in (target, target / CHECKPOINT):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise StoreError("is not writable", path=str(folder))
        return
    if not overwrite:
        raise StoreError("exists already; use another path or overwrite it", path=str(target))
    if not is_run(target):
        raise StoreError("is not a run of distsnn and is not overwritten", path=str(target))


def same_path(left: str | os.PathLike[str] | None, right: str | os.PathLike[str] | None) -> bool:
    """Return whether two given paths are the same (StoreError if a path is unreadable)."""
    if left is None or right is None:
        return False
    with store_errors(left, "cannot be read"):
        return Path(left).resolve() == Path(right).resolve()


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return whether the folder `path` is a run's store, of any version."""
    try:
        attributes = open_root(Path(path)).attrs.asdict()
    except StoreError:
        return False
    return attributes.get("format") == FORMAT


def _check_populations(table: Any) -> None:
    """Raise DescriptionError unless the table of populations covers the gids without gaps."""
    if not isinstance(table, list | tuple):
        raise DescriptionError("metadata must contain a table", where="populations", value=table)
    expected = 0
    for row in table:
        missing = {"name", "first_gid", "size", "model"} - set(row)
        if missing:
            raise DescriptionError(f"a row lacks {sorted(missing)}", where="populations")
        if row["first_gid"] != expected or row["size"] < 1:
            raise DescriptionError(
                "gids must be counted in the order of the populations",
                where=f"populations, {row['name']!r}",
                value=(row["first_gid"], row["size"]),
            )
        expected += int(row["size"])


def _attempt(
    ranks: int,
    start_step: int,
    assignment: Mapping[str, Any] | None,
    versions: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Return an attempt's attributes."""
    if ranks < 1:
        raise DescriptionError(
            "the number of ranks is too small", where="ranks", value=ranks, allowed="at least 1"
        )
    attributes = {"assignment": dict(assignment or {}), "versions": dict(versions or {})}
    return {"ranks": ranks, "start_step": start_step, **attributes}


def _remove(build: Path) -> None:
    """Remove the files of an incomplete store as far as possible."""
    # If a write of zarr fails, other files of the same write may still appear.
    limit = time.monotonic() + _LAST_FILES_S
    while build.exists() and time.monotonic() < limit:
        shutil.rmtree(build, ignore_errors=True)
        time.sleep(0.01)


def _sweep_attempts(root: zarr.Group, target: Path, first: int) -> None:
    """Remove attempts from `first`, at least one of which is unreadable.

    A kill during the removal must not leave an attempt that becomes valid again: the last attempt
    is removed first, and its metadata before its data.
    """
    matches = (re.fullmatch(r"attempt(\d{3,})", path.name) for path in target.iterdir())
    for match in sorted(
        (match for match in matches if match), key=lambda match: int(match[1]), reverse=True
    ):
        if int(match[1]) >= first:
            check_inside(root, match[0])
            (target / match[0] / "zarr.json").unlink(missing_ok=True)
            shutil.rmtree(target / match[0])


def _sweep_beside(target: Path) -> None:
    # Leftovers of starts that were killed while they created or replaced the store. Folders that
    # cannot be removed remain until the next start.
    for path in target.parent.iterdir():
        made_by = re.fullmatch(rf"\.{re.escape(target.name)}\.(\d+)(\.old)?\.partial", path.name)
        if made_by and (
            int(made_by[1]) == os.getpid() or process_start_time(int(made_by[1])) is None
        ):
            shutil.rmtree(path, ignore_errors=True)


def _move(build: Path, target: Path, *, overwrite: bool) -> None:
    with store_errors(target, "cannot be created"):
        if not overwrite or not target.exists():
            rename(build, target)
            return
        old = target.with_name(f".{target.name}.{os.getpid()}.old.partial")
        rename(target, old)
        rename(build, target)
        shutil.rmtree(old)
