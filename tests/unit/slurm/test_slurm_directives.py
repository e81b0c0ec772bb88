"""Time limits, arrays of seeds and options of sbatch, as text."""

import pytest

from distsnn.errors import DescriptionError
from distsnn.slurm import seeds_of, time_limit_s
from distsnn.slurm.directives import directive


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("2:30", 150),
        ("24:00:00", 86400),
        ("1-12", 129600),
        ("1-0:30", 88200),
        ("2-01:02:03", 176523),
    ],
)
def test_time_limits_are_read_as_sbatch_does(text: str, seconds: int) -> None:
    assert time_limit_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0:00", "2h", "-1", "1:2:3:4", "1-", "infinite", "1\n"])
def test_what_is_no_time_limit_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError, match=r"^time_limit: not a time limit"):
        time_limit_s(text)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", (7,)),
        ("1-4", (1, 2, 3, 4)),
        ("0-10:5", (0, 5, 10)),
        ("1,3,7-9", (1, 3, 7, 8, 9)),
        ("1-3%2", (1, 2, 3)),
    ],
)
def test_arrays_are_read_as_sbatch_does(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_of(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "a", "3-1", "1-", "1-3:0", "1-3%", "1-3%0", "1,,2", "-1", "1-9999999999", "1,1-2"]
)
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError, match=r"^array: "):
        seeds_of(text)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("requeue", "", "#SBATCH --requeue"),
        ("constraint", "ib", "#SBATCH --constraint=ib"),
        ("comment", "two words", '#SBATCH --comment="two words"'),
        ("output", "runs/a-%j.log", "#SBATCH --output=runs/a-%j.log"),
    ],
)
def test_directive(name: str, value: str, line: str) -> None:
    assert directive(name, value) == line


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("a b", "1", "not an option"),
        ("--x", "1", "not an option"),
        ("X", "", "not an option"),
        ("x", 'a"b', "cannot be written in a line"),
        ("x", "a\nb", "cannot be written in a line"),
    ],
)
def test_directive_that_would_break_the_script_is_refused(name: str, value: str, what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        directive(name, value)
