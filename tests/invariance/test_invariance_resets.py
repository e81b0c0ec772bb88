"""Trials with changed parameters, weights and recordings: the same on any ranks, also if killed."""

import sys
from pathlib import Path

import pytest
from command_jobs import Job, run_program
from recorded import assert_same, recorded, state_digest

sys.path.insert(0, str(Path(__file__).parent / "programs"))

import changes_and_resets

from distsnn.comm import mpiexec_path
from distsnn.io.reader import StoreReader

pytestmark = [pytest.mark.timeout(300), pytest.mark.ci]

STORES = ("trial 1.zarr", "trial 2.zarr", "trial.zarr")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    changes_and_resets.begin(folder / "trial.zarr")
    changes_and_resets.resume(folder / "trial.zarr")
    trials = [recorded(folder / name) for name in STORES]
    assert all(trial["spikes gid"].size > 300 for trial in trials)
    # learnt weights make another trial; parameters stay as they were set before a reset
    assert len({trial["spikes gid"].size for trial in trials}) == 3
    return folder


@pytest.mark.parametrize(("begun", "resumed"), [(7, 4), (5, 1), (2, 6)])
def test_trials_are_the_same_on_any_ranks(
    alone: Path, tmp_path: Path, begun: int, resumed: int
) -> None:
    out = tmp_path / "trial.zarr"
    run_program(changes_and_resets.__file__, begun, out, "begin")
    run_program(changes_and_resets.__file__, resumed, out, "resume")
    assert [len(one.ranks) for one in StoreReader(out).attempts] == [begun, resumed]
    for name in STORES:
        assert_same(recorded(alone / name), recorded(tmp_path / name))
    assert state_digest(alone / "trial.zarr") == state_digest(out)


def test_a_killed_trial_continues_from_its_checkpoint(alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "trial.zarr"
    program = [sys.executable, changes_and_resets.__file__, str(out), "killed"]
    job = Job([mpiexec_path(), "-n", "3", *program], None)
    try:
        ended = job.end()
    finally:
        job.kill()
    # killed, after no error of its own
    assert ended.code != 0 and not ended.err, ended.err
    run_program(changes_and_resets.__file__, 2, out, "resume")
    for name in STORES:
        assert_same(recorded(alone / name), recorded(tmp_path / name))
    assert state_digest(alone / "trial.zarr") == state_digest(out)
