"""A fault on one rank ends all of them: soon, with one message and one exit code."""

from pathlib import Path

import pytest
from command_jobs import AT_ONCE, SOON, run
from small_runs import one_message


@pytest.mark.parametrize(
    ("fault", "ranks", "pattern"),
    [
        ("raise", 4, r"rank 1: .*small.py, line \d+: build raised ValueError: a user's mistake$"),
        ("exit", 2, r"rank 1: .*small.py, line \d+: build raised SystemExit: 3$"),
        ("memory", 3, r"rank 1: .*small.py, line \d+: build raised MemoryError$"),
        ("refuse", 2, r"rank 1: .*small.py, line \d+: population 'E', field size: out of range"),
    ],
)
def test_model_that_fails_on_one_rank_only(
    small: Path, fault: str, ranks: int, pattern: str
) -> None:
    settings = ("--set", f"fault={fault}", "rank=1")
    ended = run("run", small, *settings, "--time", "100", ranks=ranks)
    one_message(ended, pattern)
    assert ended.code == 2
    assert ended.since_error < AT_ONCE


def test_ranks_started_by_the_command_end_as_well(small: Path) -> None:
    ended = run("run", small, "--set", "fault=raise", "rank=1", "--time", "100", "--ranks", "2")
    one_message(ended, "rank 1: .*a user's mistake")
    assert ended.code == 2
    assert ended.since_error < AT_ONCE


def test_rank_that_is_killed_ends_the_job(small: Path) -> None:
    ended = run("run", small, "--set", "fault=kill", "rank=1", "--time", "100", "--ranks", "2")
    one_message(ended, r"rank 1 \(process \d+\) was ended by signal 9 \(SIGKILL\), as when memory")
    assert ended.code == 1
    assert ended.since_error < SOON


def test_different_networks_on_two_ranks_are_refused(small: Path) -> None:
    ended = run("run", small, "--set", "fault=different", "rank=1", "--time", "10", "--ranks", "2")
    one_message(ended, "the network or seed of rank 1 differs from that of rank 0")
    assert ended.code == 2


@pytest.mark.parametrize("neuron", [3, 399])
def test_state_that_is_not_finite_ends_the_job(small: Path, neuron: int, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    words = ("--set", f"infinite={neuron}", "--time", "100", "--ranks", "2", "--out", out)
    ended = run("run", small, *words)
    one_message(ended, f"population 'E', gid {neuron}, step 42: V_m is not finite$")
    assert ended.code == 1
    assert "failed: population 'E'" in run("info", out).out


def test_number_of_ranks_that_the_job_does_not_have_is_refused(small: Path) -> None:
    ended = run("run", small, "--time", "10", "--ranks", "3", ranks=2)
    one_message(ended, "--ranks: this job has 2 ranks; given 3")
    assert ended.code == 2


def test_usage_error_is_printed_once_by_several_ranks() -> None:
    ended = run("run", "--tme", "10", "microcircuit", ranks=3)
    one_message(ended, "unknown option '--tme'.*did you mean '--time'")
    assert (ended.code, ended.out) == (2, "")


def test_help_is_printed_once_by_several_ranks() -> None:
    ended = run("run", "--help", ranks=3)
    assert ended.code == 0
    assert ended.out.count("usage: distsnn run") == 1
    assert ended.err == ""
