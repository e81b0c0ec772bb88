"""The boards' driver, at toy sizes, with PACMAN played by the test; no time is judged."""

import json
from types import ModuleType
from typing import Any

import pytest
from networks.slices import sparse, unequal


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import boards

    monkeypatch.setattr(boards, "COMMANDS", {"tiny": ("microcircuit", "--set", "scale=0.02")})
    monkeypatch.setattr(boards, "GRAPHS", {"few": lambda: sparse(40, 4, rate=unequal(40))})
    monkeypatch.setattr(boards, "python_of", str)
    return boards


@pytest.mark.ci
def test_a_line_for_each_case_and_a_table_are_printed(
    boards: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(peer: str, python: str, folder: object, *, task: str, **fields: Any) -> dict:
        if task == "compress":
            assert sum(len(one["entries"]) for one in fields["plain"]) > 40
            return {"theirs": [300, 200]}
        assert fields["neurons"] == [256] * 40
        assert len(fields["edges"]) == 160
        # three slices a chip, from the corner on
        return {"placements": [[at // 3 % 5, at // 15, 1 + at % 3] for at in range(40)]}

    monkeypatch.setattr(boards, "ask", ask)
    assert boards.main([]) == 0
    *lines, heads, few, tiny, _ = capsys.readouterr().out.splitlines()
    found = {one["case"]: one for one in map(json.loads, lines)}
    few_found, tiny_found = found["few"], found["tiny"]
    assert (few_found["slices"], few_found["entries"]["pacman"]) == (40, 500)
    assert few_found["largest_table"]["pacman"] == 300
    # chips hold 16 slices, and three are few
    assert 0.0 < few_found["rate_hops"]["ours"] < few_found["rate_hops"]["pacman"]
    assert (tiny_found["neurons"], tiny_found["boards"], tiny_found["chips"]) == (1544, 1, 1)
    assert tiny_found["table_entries"]["compressed"] >= 1
    assert tiny_found["peak_rss_bytes"] > 2**26
    assert 0.0 < tiny_found["mapping_s"] < tiny_found["wall_s"]
    # to start Python and import takes this much at least
    assert tiny_found["cpu_s"] > 0.2
    assert heads.index("entries") < heads.index("CPU s")
    assert tiny.split()[-2] == f"{tiny_found['cpu_s']:.1f}"
    assert (few.split()[0], tiny.split()[0]) == ("few", "tiny")


def test_failing_command_is_reported(boards: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(boards.MeasurementError, match="code 2"):
        boards.mapped("microcircit")
    assert "microcircuit" in capfd.readouterr().err
