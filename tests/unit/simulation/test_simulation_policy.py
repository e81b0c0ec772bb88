"""When a run is saved and stopped: settings, and the pieces that follow from them."""

import math
import time

import pytest

from distsnn.comm import SingleProcess
from distsnn.errors import DescriptionError, UsageError
from distsnn.network import Network
from distsnn.simulation import Simulation, simulate
from distsnn.simulation import policy as policies
from distsnn.simulation.policy import RunPolicy, process_age_s
from distsnn.simulation.segments import (
    FAILED,
    OUT_OF_TIME,
    RUNNING,
    SAVE,
    SIGNALLED,
    SegmentScheduler,
)


@pytest.mark.parametrize(
    "name", ["checkpoint_every", "checkpoint_wall_time", "wall_limit", "max_rate"]
)
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, True, "1"])
def test_settings_must_be_positive_numbers(name: str, value: object) -> None:
    with pytest.raises(DescriptionError, match=name):
        RunPolicy(**{name: value})


def test_biological_interval_must_be_on_the_grid() -> None:
    assert RunPolicy(checkpoint_every=0.3).checkpoint_steps(0.1) == 3
    with pytest.raises(DescriptionError, match="checkpoint_every"):
        RunPolicy(checkpoint_every=0.25).checkpoint_steps(0.1)


def test_age_counts_from_the_start_of_the_process() -> None:
    before = process_age_s()
    assert 0.0 < before < time.monotonic()
    time.sleep(0.05)
    assert 0.03 < process_age_s() - before < 5.0


def test_a_run_ends_early_enough_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "process_age_s", lambda: 90.0)
    assert not RunPolicy().out_of_time(1e9)
    assert not RunPolicy(wall_limit=100.0).out_of_time(1.0)
    assert RunPolicy(wall_limit=100.0).out_of_time(4.0)
    assert RunPolicy(wall_limit=92.0).out_of_time(0.0)
    # however long saving takes, half of the time is for the run
    assert not RunPolicy(wall_limit=200.0).out_of_time(1e9)


@pytest.mark.parametrize("name", ["checkpoint_every", "checkpoint_wall_time"])
def test_run_without_a_store_cannot_be_saved(network: Network, name: str) -> None:
    policy = RunPolicy(**{name: 5.0})
    refused = rf"{name}: checkpoints need a run store; given 5\.0; hint: .*--out"
    with pytest.raises(UsageError, match=refused):
        Simulation(network, policy=policy)
    with pytest.raises(UsageError, match=refused):
        simulate(network, 1.0, ranks=2, policy=policy, progress=False)


def pace(policy: RunPolicy) -> SegmentScheduler:
    return SegmentScheduler(policy, 0.1, 1024, SingleProcess())


def test_segments_end_at_checkpoints_and_rate_checks() -> None:
    one = pace(RunPolicy(checkpoint_every=3.0, max_rate=10.0))
    assert one.segment_end(0, 10) == 10
    assert one.segment_end(0, 1000) == 30
    assert one.segment_end(30, 1000) == 60
    assert one.segment_end(59, 1000) == 60
    assert one.segment_end(990, 1010) == 1000  # where rates are looked at
    assert pace(RunPolicy()).segment_end(0, 1000) == 50


def test_segments_are_whole_epochs() -> None:
    one = SegmentScheduler(RunPolicy(), 0.1, 1000, SingleProcess(), epoch_steps=30)
    ends, step = [], 0
    for spent in (0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0):
        end = one.segment_end(step, 10**6)
        ends.append(end - step)
        one.agree_after_segment(end - step, end, spent, failed=False, signal=0)
        step = end
    assert ends == [30, 60, 120, 240, 480, 960, 480, 240, 120, 60, 30]
    # how often ranks exchange does not depend on how fast they are
    assert one.segment_end(step, 10**6) - step == 30
    long = SegmentScheduler(RunPolicy(), 0.1, 1000, SingleProcess(), epoch_steps=200)
    assert long.segment_end(0, 10**6) == 200
    few = SegmentScheduler(RunPolicy(), 0.1, 20, SingleProcess(), epoch_steps=200)
    assert few.segment_end(0, 10**6) == 20  # more than that recordings cannot hold


def test_worst_outcome_of_all_ranks_counts() -> None:
    one = pace(RunPolicy(checkpoint_every=3.0))
    assert one.agree_after_segment(30, 30, 0.05, failed=False, signal=0) == (SAVE, 0)
    assert one.agree_after_segment(29, 29, 0.05, failed=False, signal=0) == (RUNNING, 0)
    assert one.agree_after_segment(30, 30, 0.05, failed=False, signal=10) == (SIGNALLED, 10)
    assert one.agree_after_segment(30, 30, 0.05, failed=True, signal=10)[0] == FAILED
    late = pace(RunPolicy(wall_limit=1e-3))
    assert late.agree_after_segment(30, 30, 0.05, failed=False, signal=0)[0] == OUT_OF_TIME


def test_segments_grow_while_short_and_shrink_when_long() -> None:
    one = pace(RunPolicy())
    assert one.segment_end(0, 10**6) == 50
    one.agree_after_segment(50, 50, 0.001, failed=False, signal=0)
    assert one.segment_end(50, 10**6) == 150
    one.agree_after_segment(30, 80, 0.001, failed=False, signal=0)  # cut short: says nothing
    assert one.segment_end(80, 10**6) == 180
    one.agree_after_segment(100, 180, 0.5, failed=False, signal=0)
    assert one.segment_end(180, 10**6) == 230
