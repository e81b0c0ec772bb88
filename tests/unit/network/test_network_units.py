"""Numbers in words."""

from distsnn.units import counted


def test_one_is_no_plural() -> None:
    assert [counted(n, "rank") for n in (0, 1, 2)] == ["0 ranks", "1 rank", "2 ranks"]
    assert counted(1, "process", "processes") == "1 process"
    assert counted(12000, "process", "processes") == "12,000 processes"
