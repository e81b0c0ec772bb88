"""What befell ranks that could not say it themselves: a killed process, a machine that went down.

`distsnn.comm.supervision.exit_monitor` writes a notice when a rank dies or stalls. A rank that
still counts as running while its process is gone had no monitor, or ended with a failed job.
"""

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distsnn.errors import StoreError
from distsnn.io.metadata_checks import check_notice
from distsnn.io.nodes import location, open_root, stored_attributes
from distsnn.io.processes import started
from distsnn.io.schema import notices_path, rank_path


def notices_folder(path: str | os.PathLike[str], attempt: int) -> Path:
    """Return where the notices of an attempt are written, in the run's store at `path`."""
    return Path(path).absolute() / notices_path(attempt)


def read_notices(
    path: str | os.PathLike[str], attempt: int, ranks: Iterable[int]
) -> list[dict[str, Any]]:
    """Return the notices of an attempt, the earliest first.

    Parameters
    ----------
    path : str or PathLike
        The run's store.
    attempt : int
        The attempt.
    ranks : iterable of int
        Its ranks.

    Returns
    -------
    list of dict
        rank, host, pid, when, what; step and signal where known. Of a notice that cannot be read,
        damage alone: why not; these come last.
    """
    root, own = open_root(Path(path)), notices_path(attempt)
    found, damaged = [], []
    # asked of the file system, as no attempt has notices unless something befell it
    for rank in ranks if Path(path, own).exists() else ():
        try:
            notice = stored_attributes(root, f"{own}/rank{rank:04d}")
            if notice is not None:
                check_notice(notice, path=location(root, f"{own}/rank{rank:04d}"))
                found.append(notice)
        except StoreError as error:
            # whoever asks what befell a run is to learn all that can be known
            damaged.append({"damage": str(error)})
    return [*sorted(found, key=lambda notice: str(notice["when"])), *damaged]


def gone_ranks(path: str | os.PathLike[str], attempt: int, ranks: Iterable[int]) -> list[int]:
    """Return the ranks of an attempt that count as running while their process is gone.

    Only those of this machine: of others nothing can be said.
    """
    folder = Path(path)
    root = open_root(folder)
    paths = ((rank, rank_path(attempt, rank)) for rank in ranks)
    return [rank for rank, own in paths if _is_gone(stored_attributes(root, own), folder / own)]


def _is_gone(attributes: dict[str, Any] | None, folder: Path) -> bool:
    if attributes is None:
        return False
    if attributes["status"] != "running" or attributes.get("host") != socket.gethostname():
        return False
    pid = attributes.get("pid")
    if pid is None:
        return False
    written = (folder / "zarr.json").stat().st_mtime
    since = started(pid)
    # A process that is younger than what it should have written only has the number.
    return since is None or since > written + 1.0
