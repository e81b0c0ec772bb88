"""Exit reports of ranks: a killed process, or a machine that went down.

`distsnn.comm.supervision.exit_monitor` writes a report when a rank dies or stalls. A rank that
still counts as running while its process is gone had no monitor, or ended with a failed job.
"""

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distsnn.errors import StoreError
from distsnn.io.metadata_checks import check_exit_report
from distsnn.io.processes import process_start_time
from distsnn.io.schema import exit_reports_path, rank_path
from distsnn.io.zarr_nodes import location, open_root, stored_attributes


def exit_reports_folder(path: str | os.PathLike[str], attempt: int) -> Path:
    """Return the folder for the exit reports of an attempt, in the run store at `path`."""
    return Path(path).absolute() / exit_reports_path(attempt)


def read_exit_reports(
    path: str | os.PathLike[str], attempt: int, ranks: Iterable[int]
) -> list[dict[str, Any]]:
    """Return the exit reports of an attempt, the earliest first.

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
        rank, host, pid, time, cause; step and signal where known. A corrupt report has the entry
        damage only, the reason; these come last.
    """
    root, folder = open_root(Path(path)), exit_reports_path(attempt)
    reports, corrupt = [], []
    # most attempts have no exit reports
    for rank in ranks if Path(path, folder).exists() else ():
        try:
            report = stored_attributes(root, f"{folder}/rank{rank:04d}")
            if report is not None:
                check_exit_report(report, path=location(root, f"{folder}/rank{rank:04d}"))
                reports.append(report)
        except StoreError as error:
            # the other reports must remain readable
            corrupt.append({"damage": str(error)})
    return [*sorted(reports, key=lambda report: str(report["time"])), *corrupt]


def vanished_ranks(path: str | os.PathLike[str], attempt: int, ranks: Iterable[int]) -> list[int]:
    """Return the ranks of an attempt that count as running while their process is gone.

    Ranks of this machine only: processes of other machines are unknown.
    """
    folder = Path(path)
    root = open_root(folder)
    paths = ((rank, rank_path(attempt, rank)) for rank in ranks)
    return [
        rank
        for rank, group_path in paths
        if _has_vanished(stored_attributes(root, group_path), folder / group_path)
    ]


def _has_vanished(attributes: dict[str, Any] | None, folder: Path) -> bool:
    if attributes is None:
        return False
    if attributes["status"] != "running" or attributes.get("host") != socket.gethostname():
        return False
    pid = attributes.get("pid")
    if pid is None:
        return False
    written = (folder / "zarr.json").stat().st_mtime
    since = process_start_time(pid)
    # A process younger than the file that it should have written is another one with this number.
    return since is None or since > written + 1.0
