"""Numbers in words."""

from distsnn.units import format_count


def test_one_is_no_plural() -> None:
    assert [format_count(n, "rank") for n in (0, 1, 2)] == ["0 ranks", "1 rank", "2 ranks"]
    assert format_count(1, "process", "processes") == "1 process"
    assert format_count(12000, "process", "processes") == "12,000 processes"
