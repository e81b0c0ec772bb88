"""Recordings that are switched off and on: the same on any ranks, and after resuming on others."""

from pathlib import Path

import pytest
import switched_recordings
from command_jobs import run_program
from recorded import assert_same, recorded

from distsnn.io.reader import StoreReader

pytestmark = [pytest.mark.timeout(300), pytest.mark.ci]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "alone.zarr"
    switched_recordings.switched(path)
    return path


@pytest.mark.parametrize(
    "ways", [[(3, "whole")], [(3, "begin"), (2, "resume")], [(1, "begin"), (3, "resume")]]
)
def test_switched_recordings_are_the_same_on_any_ranks(
    alone: Path, tmp_path: Path, ways: list[tuple[int, str]]
) -> None:
    other = tmp_path / "other.zarr"
    for ranks, part in ways:
        run_program(switched_recordings.__file__, ranks, other, part)
    readers = StoreReader(alone), StoreReader(other)
    assert [len(one.ranks) for one in readers[1].attempts] == [ranks for ranks, _ in ways]
    assert_same(recorded(alone), recorded(other))
    for name in switched_recordings.PARTS:
        first, second = (reader.intervals(name).tolist() for reader in readers)
        assert first == second
