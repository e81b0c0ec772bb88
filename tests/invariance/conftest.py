"""One job per number of ranks simulates the pairs of way and case that the collected tests read."""

import pytest
from invariance_cases import write_edges
from invariance_examples import EXAMPLE_REFERENCE
from invariance_runs import Pair, Runs
from invariance_ways import REFERENCE


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Runs:
    """Return the runs, which are made when their paths are first asked for."""
    folder = tmp_path_factory.mktemp("invariance")
    write_edges(folder)
    items = request.session.items
    parameters = [item.callspec.params for item in items if hasattr(item, "callspec")]
    read = {(one["way"], one["case"]) for one in parameters if {"way", "case"} <= one.keys()}
    for item in items:
        read |= {pair for mark in item.iter_markers("reads") for pair in mark.args}
    return Runs(folder, frozenset(read | {reference_of(way, case) for way, case in read}))


def reference_of(way: str, case: str) -> Pair:
    return (EXAMPLE_REFERENCE if way.startswith("example") else REFERENCE), case
