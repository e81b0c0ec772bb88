"""What tests of faults skip without must be there in CI, or nobody would see that they did."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from in_ci import IN_CI
from network_hosts import make_hosts
from small_disks import mounted, read_only

pytestmark = pytest.mark.skipif(
    not IN_CI or os.getuid() != 0, reason="outside CI, and for others than root, it is optional"
)


@contextmanager
def unskipped() -> Iterator[None]:
    try:
        yield
    except pytest.skip.Exception as skipped:
        pytest.fail(f"not in CI: {skipped}")


def test_disks_and_folders_can_be_mounted_in_ci(tmp_path: Path) -> None:
    with unskipped(), mounted(tmp_path / "disk", "64k") as disk:
        (disk / "file").write_text("fits")
        with read_only(disk), pytest.raises(OSError, match="Read-only"):
            (disk / "other").touch()
        (disk / "other").touch()


def test_hosts_can_be_made_in_ci(tmp_path: Path) -> None:
    with unskipped():
        make_hosts(2, tmp_path).down()
