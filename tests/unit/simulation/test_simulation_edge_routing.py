"""Edge files are read once between all ranks, and the edges go to their owners."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from campaigns import sampled
from decoded import canonical, layouts, of_wiring
from thread_ranks import run

from distsnn.comm import Communicator, DryRun
from distsnn.engine import edges, wiring
from distsnn.errors import DescriptionError, RankError
from distsnn.network import (
    ExplicitFile,
    IafPscDelta,
    IafPscExp,
    Network,
    Normal,
    Population,
    Projection,
)
from distsnn.network.magnitudes import GivenMagnitudes
from distsnn.network.quanta import choose_quanta
from distsnn.partition.assignment import Assignment
from distsnn.simulation.build import Built, Settings, build
from distsnn.simulation.edge_routing import route_files, shared_slices

N = 5000
RNG = np.random.default_rng(3)
ARRAYS = {
    "sources": RNG.integers(0, 170, N),
    "targets": RNG.integers(0, 600, N),
    "weights": RNG.normal(1.0, 4.0, N),
    "delays": RNG.integers(1, 900, N) * 0.1,
}


def _file(folder: Path, kind: str, **change: np.ndarray) -> Path:
    arrays = ARRAYS | change
    if kind == "npz":
        np.savez_compressed(folder / "edges.npz", **arrays)
        return folder / "edges.npz"
    group = zarr.open_group(str(folder / "edges.zarr"), mode="w")
    for name, values in arrays.items():
        group.create_array(name, data=values, chunks=(100,))
    return folder / "edges.zarr"


def _network(path: Path) -> Network:
    e, d = Population("E", 200, IafPscExp()), Population("D", 700, IafPscDelta())
    given = ExplicitFile(path, weights="weights", delays="delays")
    drawn = ExplicitFile(path)
    return Network(
        [e, d],
        [
            Projection(e[20:190], d[9:609], given),
            Projection(e[20:190], d[9:609], drawn, weight=Normal(5.0, 1.0), delay=Normal(3.0, 1.0)),
        ],
    )


def _routed(network: Network, ranks: int) -> list[Any]:
    """Route the files of a network on some ranks: what each rank returned or raised."""
    made = layouts(network, ranks)

    def main(communicator: Communicator) -> Any:
        return route_files(made[communicator.rank], communicator)

    results, aborted = run(ranks, main)
    assert aborted is None
    return results


def _synapses(network: Network, ranks: int) -> np.ndarray:
    found = []
    for layout, (own, files) in zip(layouts(network, ranks), _routed(network, ranks), strict=True):
        made = wiring.build(
            layout, choose_quanta(network, files), 1, explicit_edges=own, delivery="pull"
        )
        found.append(of_wiring(layout, made))
        assert own == {0: [], 1: []}
    return canonical(found)


@pytest.mark.parametrize("piece", [1 << 20, 333])
@pytest.mark.parametrize("kind", ["npz", "zarr"])
def test_synapses_do_not_depend_on_who_read_them(
    kind: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(_file(tmp_path, kind))
    one = _synapses(network, 1)
    assert len(one) == 2 * N
    monkeypatch.setattr(edges, "SLICE", piece)
    for ranks in (1, 2, 3, 4, 7):
        np.testing.assert_array_equal(_synapses(network, ranks), one)


def test_summaries_are_of_the_whole_file(tmp_path: Path) -> None:
    network = _network(_file(tmp_path, "zarr"))
    degree = int(np.bincount(ARRAYS["targets"]).max())
    weights = ARRAYS["weights"]
    for ranks in (1, 3):
        for _, files in _routed(network, ranks):
            assert files == {
                0: edges.EdgeFileSummary(
                    degree, weights.min(), weights.max(), GivenMagnitudes.of(weights)
                ),
                1: edges.EdgeFileSummary(degree, 0.0, 0.0, GivenMagnitudes.of([])),
            }


def test_edges_stay_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "SLICE", 200)
    for own, _ in _routed(_network(_file(tmp_path, "npz")), 3):
        numbers = np.concatenate([piece["number"] for piece in own[1]])
        assert numbers.size > 1000
        assert np.all(np.diff(numbers) > 0)


def _counting(counts: dict[str, int], made: Callable[..., edges.Reader]) -> Callable[..., Any]:
    def reader(folder: Path, known: bool, name: str) -> edges.Reader:
        read = made(folder, known, name)

        def counted(first: int, last: int) -> np.ndarray:
            counts[name] = counts.get(name, 0) + last - first
            return read(first, last)

        return counted

    return reader


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_each_rank_reads_its_share(
    ranks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(_file(tmp_path, "zarr"))
    counts: dict[str, int] = {}
    monkeypatch.setattr(edges, "_zarr_reader", _counting(counts, edges._zarr_reader))
    monkeypatch.setattr(edges, "SLICE", 400)
    # The imitation of one rank reads what that rank would, and no more.
    shares = []
    for layout in layouts(network, ranks):
        counts.clear()
        route_files(layout, DryRun(layout.rank, ranks))
        assert counts["sources"] == counts["targets"]
        assert counts["weights"] == counts["delays"]
        assert counts["sources"] == 2 * counts["weights"]
        shares.append(counts["weights"])
    assert sum(shares) == N
    assert max(shares) - min(shares) <= 400


def test_no_chunk_is_read_by_two_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (layout,) = layouts(_network(_file(tmp_path, "zarr")), 1)
    assert [edges.grain(one) for one in layout.network.projections] == [100, 100]
    monkeypatch.setattr(edges, "SLICE", 333)
    for ranks in (1, 3, 7, 64):
        for rank in range(ranks):
            for first, last in shared_slices(N, 100, rank, ranks):
                assert first % 100 == last % 100 == 0


@pytest.mark.parametrize("ranks", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("n", [0, 1, 5, 6, 999, 1000, 5000])
@pytest.mark.parametrize("grain", [1, 7, 100, 250])
def test_slices_cover_a_file_round_by_round(
    n: int, grain: int, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "SLICE", 100)
    shares = [list(shared_slices(n, grain, rank, ranks)) for rank in range(ranks)]
    at = 0
    for one_round in zip(*shares, strict=True):
        for first, last in one_round:
            assert first == at
            assert first <= last <= first + 100 + grain
            at = last
    assert at == n


@pytest.mark.parametrize("at", sampled([3, 1234, 2600, 3900, N - 1], 4))
@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("sources", 170, "index out of range"),
        ("targets", -1, "index out of range"),
        ("weights", np.nan, "must be finite"),
        ("delays", 0.25, "time is not on the grid"),
    ],
)
def test_what_is_wrong_ends_all_ranks(
    name: str, value: float, what: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "SLICE", 200)
    array = ARRAYS[name].copy()
    array[at] = value
    path = _file(tmp_path, "zarr", **{name: array})
    results = _routed(_network(path), 4)
    assert sum(isinstance(error, DescriptionError) for error in results) == 1
    assert sum(isinstance(error, RankError) for error in results) == 3
    for error in results:
        assert f"file {path}, array '{name}'[{at}]: {what}" in str(error)


def test_a_changed_file_ends_all_ranks(tmp_path: Path) -> None:
    network = _network(_file(tmp_path, "npz"))
    network = Network.from_dict(*network.to_dict())
    assert not isinstance(_routed(network, 2)[1], BaseException)
    _file(tmp_path, "npz", weights=ARRAYS["weights"] + 1.0)
    results = _routed(network, 2)
    assert [type(error) for error in results] == [DescriptionError, RankError]
    assert all("has changed" in str(error) for error in results)


def test_epochs_are_as_long_as_delays_in_files_between_ranks_allow(tmp_path: Path) -> None:
    near, far = Population("near", 64, IafPscExp()), Population("far", 64, IafPscExp())
    ends = RNG.integers(0, 64, (2, 300))
    for name, least in (("fast", 2), ("slow", 30)):
        delays = RNG.integers(least, 90, 300) * 0.1
        delays[7] = least * 0.1
        np.savez(tmp_path / f"{name}.npz", sources=ends[0], targets=ends[1], delays=delays)
    fast, slow = (
        ExplicitFile(tmp_path / f"{name}.npz", delays="delays") for name in ("fast", "slow")
    )
    network = Network(
        [near, far],
        [Projection(near, near, fast, 1.0), Projection(near, far, slow, 1.0)],
    )
    for partition, steps in (("population", 30), (Assignment(2, np.array([0, 0])), 256)):

        def main(ranks: Communicator, partition: Any = partition) -> Built:
            return build(network, Settings(partition=partition), ranks)

        made, aborted = run(2, main)
        assert aborted is None
        assert [one.epochs.global_steps for one in made] == [steps] * 2
    assert made[0].connections.smallest_delay.tolist() == [2, 0]
