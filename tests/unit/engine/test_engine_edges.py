"""Given edges: from arrays and files, by pieces, onto any number of ranks."""

import re
from pathlib import Path

import numpy as np
import pytest
import zarr
from decoded import (
    DELAY,
    PLANE,
    SOURCE,
    TARGET,
    WEIGHT,
    Ints,
    canonical,
    file_edges,
    layouts,
    scales,
    synapses,
)

from distsnn.engine import edges
from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    ConnectionFile,
    ConnectionList,
    ConnectionRule,
    IafPscDelta,
    IafPscExp,
    Network,
    Normal,
    OneToOne,
    Population,
    Projection,
)
from distsnn.network.magnitudes import GivenMagnitudes
from distsnn.network.quanta import to_integers
from distsnn.network.scale_requirements import EdgeFileSummary

E = Population("E", 200, IafPscExp())
D = Population("D", 70, IafPscDelta())
RNG = np.random.default_rng(1)
N = 3000
SOURCES, TARGETS = RNG.integers(0, 170, N), RNG.integers(0, 61, N)
WEIGHTS = RNG.normal(1.0, 4.0, N)
STEPS = RNG.integers(1, 900, N)
DELAYS = STEPS * 0.1


def _network(
    rule: ConnectionRule, weight=None, delay=None, pre=E[20:190], post=D[9:70], **more
) -> Network:
    return Network([E, D], [Projection(pre, post, rule, weight=weight, delay=delay, **more)])


def _expected(network: Network, weights=WEIGHTS, steps=STEPS, first_target: int = 209) -> Ints:
    found = np.empty((N, 5), np.int64)
    found[:, SOURCE], found[:, TARGET] = SOURCES + 20, TARGETS + first_target
    k, s = scales(network).exponent["D", "delta"], scales(network).shift[0]
    found[:, WEIGHT] = to_integers(weights, k, s)
    found[:, DELAY], found[:, PLANE] = steps, 0
    return canonical([found])


def _files(folder: Path, kind: str) -> Path:
    arrays = {
        "pre": SOURCES.astype(np.int32),
        "post": TARGETS.astype(np.uint16),
        "w": WEIGHTS.astype(">f8"),
        "d": DELAYS,
    }
    if kind == "zarr":
        group = zarr.open_group(str(folder / "edges.zarr"), mode="w")
        for name, values in arrays.items():
            native = values.astype(values.dtype.newbyteorder("="))
            made = group.create_array(name, shape=(N,), dtype=native.dtype, chunks=(700,))
            made[:] = native
        return folder / "edges.zarr"
    path = folder / "edges.npz"
    (np.savez_compressed if kind == "compressed" else np.savez)(path, **arrays)
    return path


@pytest.mark.parametrize("piece", [1 << 20, 700, N])
@pytest.mark.parametrize("kind", ["npz", "compressed", "zarr"])
def test_edges_of_a_file_are_those_in_it(
    kind: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "SLICE", piece)
    rule = ConnectionFile(_files(tmp_path, kind), "pre", "post", weights="w", delays="d")
    network = _network(rule)
    for ranks in (1, 3):
        np.testing.assert_array_equal(synapses(network, ranks), _expected(network))
    whole = edges.summarise_edges(network.projections[0], file_edges(network)[0])
    degree = int(np.bincount(TARGETS).max())
    magnitudes = GivenMagnitudes.of(WEIGHTS)
    assert whole == EdgeFileSummary(degree, WEIGHTS.min(), WEIGHTS.max(), magnitudes)


def test_missing_chunk_is_no_chunk_of_zeros(tmp_path: Path) -> None:
    path = _files(tmp_path, "zarr")
    network = _network(ConnectionFile(path, "pre", "post", weights="w", delays="d"))
    (path / "w" / "c" / "1").unlink()
    where = f"file {path}, edges 0 to {N - 1}: cannot be read: chunk {path}/w/c/1 is missing"
    with pytest.raises(DescriptionError, match=re.escape(where)):
        synapses(network)
    # what was missing already when the network was stored is of fill values
    synapses(Network.from_dict(*network.to_dict()))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_edges_of_arrays(delivery: str, dtype: type) -> None:
    rule = ConnectionList(SOURCES.astype(dtype), TARGETS.astype(dtype))
    network = _network(rule, WEIGHTS, DELAYS)
    for ranks in (1, 2, 7):
        found = synapses(network, ranks, delivery=delivery)
        np.testing.assert_array_equal(found, _expected(network))


def test_values_that_are_not_given_are_drawn_by_the_edges_number(tmp_path: Path) -> None:
    rule = ConnectionList(SOURCES, TARGETS)
    drawn = _network(rule, Normal(5.0, 1.0), Normal(3.0, 1.0))
    one = synapses(drawn)
    np.testing.assert_array_equal(synapses(drawn, 3, delivery="push"), one)
    weights = one[:, WEIGHT] * 2.0 ** scales(drawn).exponent["D", "delta"]
    assert np.mean(weights) == pytest.approx(5.0, abs=0.1)
    assert np.std(weights) == pytest.approx(1.0, abs=0.05)
    assert np.mean(one[:, DELAY]) == pytest.approx(30.0, abs=1.0)
    # the same edges from a file, and one value of each drawn
    path = _files(tmp_path, "npz")
    file = ConnectionFile(path, "pre", "post")
    np.testing.assert_array_equal(
        synapses(_network(file, Normal(5.0, 1.0), Normal(3.0, 1.0)), 2), one
    )
    half = _network(ConnectionFile(path, "pre", "post", weights="w"), delay=Normal(3.0, 1.0))
    found = synapses(half, 2)
    np.testing.assert_array_equal(np.sort(found[:, DELAY]), np.sort(one[:, DELAY]))
    other = _network(ConnectionFile(path, "pre", "post", delays="d"), weight=Normal(5.0, 1.0))
    found = synapses(other, 2)
    np.testing.assert_array_equal(np.sort(found[:, DELAY]), np.sort(STEPS))
    np.testing.assert_array_equal(np.sort(found[:, WEIGHT]), np.sort(one[:, WEIGHT]))
    # pieces do not matter: an edge is known by its number in the projection
    constant = _network(rule, 2.5, 0.3)
    np.testing.assert_array_equal(
        synapses(constant), _expected(constant, np.full(N, 2.5), np.full(N, 3))
    )


def test_values_of_explicit_edges_do_not_depend_on_chunk_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = _network(ConnectionList(SOURCES, TARGETS), Normal(5.0, 1.0), Normal(3.0, 1.0))
    one = synapses(network)
    monkeypatch.setattr(edges, "SLICE", 101)
    np.testing.assert_array_equal(synapses(network, 2), one)


def test_signs_of_given_weights_choose_the_receptor() -> None:
    network = Network(
        [E, D], [Projection(E, E, ConnectionList(SOURCES, TARGETS), weight=WEIGHTS, delay=1.0)]
    )
    found = synapses(network, 2)
    k = scales(network)
    assert k.exponent["E", "ex"] == k.exponent["E", "in"]
    np.testing.assert_array_equal(found[:, PLANE] == 0, found[:, WEIGHT] >= 0)
    assert np.count_nonzero(found[:, PLANE]) == np.count_nonzero(WEIGHTS < 0)


def test_arrays_of_weights_and_delays_of_other_rules() -> None:
    rng = np.random.default_rng(2)
    weights, steps = rng.normal(0.0, 1.0, (30, 41)), rng.integers(1, 50, (30, 41))
    network = _network(AllToAll(), weights, steps * 0.1, pre=E[3:33], post=D[20:61])
    source, target = np.mgrid[0:30, 0:41].reshape(2, -1)
    k = scales(network).exponent["D", "delta"], scales(network).shift[0]
    columns = [source + 3, target + 220, steps.ravel(), to_integers(weights.ravel(), *k)]
    expected = canonical([np.stack([*columns, np.zeros(30 * 41, np.int64)], axis=1)])
    for ranks, delivery in ((1, "pull"), (2, "push"), (7, "auto")):
        np.testing.assert_array_equal(synapses(network, ranks, delivery=delivery), expected)
    same = _network(AllToAll(autapses=False), weights[:, :30], 0.1, pre=E[90:120], post=E[90:120])
    found = synapses(same, 2)
    shifts = scales(same).exponent["E", "ex"], scales(same).shift[0]
    integers = to_integers(weights[:, :30], *shifts)
    off = ~np.eye(30, dtype=bool)
    pairs = found[np.lexsort((found[:, TARGET], found[:, SOURCE]))]
    np.testing.assert_array_equal(pairs[:, WEIGHT], integers[off])
    single = _network(OneToOne(), weights[0], steps[0] * 0.1, pre=E[3:44], post=D[20:61])
    found = synapses(single, 3)
    k = scales(single).exponent["D", "delta"], scales(single).shift[0]
    np.testing.assert_array_equal(found[:, SOURCE] - 3, found[:, TARGET] - 220)
    np.testing.assert_array_equal(found[:, WEIGHT], to_integers(weights[0], *k))
    np.testing.assert_array_equal(found[:, DELAY], steps[0])


def test_no_edges() -> None:
    network = _network(ConnectionList([], []), 1.0, 1.0)
    assert len(synapses(network, 2)) == 0
    empty = np.empty(0)
    assert len(synapses(_network(ConnectionList([], []), empty, empty))) == 0


def _wide() -> Network:
    """Return a network whose weights differ by 2^50 quanta, with delays of 16 bits."""
    return Network(
        [E, D],
        [
            Projection(E, D, ConnectionList([0, 1], [0, 69]), weight=[1e-6, 2e-6], delay=6553.5),
            Projection(E, D, ConnectionList([0, 5], [1, 69]), weight=[1e3, -2e3], delay=[0.1, 0.2]),
        ],
    )


def test_weights_beyond_a_word_are_refused_not_cut() -> None:
    network = _wide()
    k = scales(network).exponent["D", "delta"]
    found = synapses(network, 2, delivery="auto")
    assert set(found[:, WEIGHT]) == {
        *to_integers([1e-6, 2e-6], k, scales(network).shift[0]).tolist(),
        *to_integers([1e3, -2e3], k, scales(network).shift[1]).tolist(),
    }
    assert np.abs(found[:, WEIGHT]).max() > 2**41
    with pytest.raises(DescriptionError, match="weight") as caught:
        synapses(network, delivery="push")
    assert caught.value.allowed == "pull or auto"


@pytest.mark.parametrize("piece", [1 << 20, 300])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre": np.where(np.arange(N) == 777, 170, SOURCES)}, "'pre'[777]: index out of range"),
        ({"post": np.where(np.arange(N) == 777, -1, TARGETS)}, "'post'[777]: index out of range"),
        ({"w": np.where(np.arange(N) == 777, np.nan, WEIGHTS)}, "'w'[777]: must be finite"),
        ({"d": np.where(np.arange(N) == 777, 0.25, DELAYS)}, "'d'[777]: time is not on the grid"),
        ({"d": np.where(np.arange(N) == 777, 0.05, DELAYS)}, "'d'[777]: out of range"),
        ({"d": np.where(np.arange(N) == 777, 0.0, DELAYS)}, "'d'[777]: out of range"),
        ({"d": np.where(np.arange(N) == 777, np.inf, DELAYS)}, "'d'[777]: must be finite"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    change: dict[str, np.ndarray],
    message: str,
    piece: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edges, "SLICE", piece)
    arrays = {"pre": SOURCES, "post": TARGETS, "w": WEIGHTS, "d": DELAYS} | change
    np.savez(tmp_path / "edges.npz", **arrays)
    rule = ConnectionFile(tmp_path / "edges.npz", "pre", "post", weights="w", delays="d")
    with pytest.raises(DescriptionError) as caught:
        file_edges(_network(rule))
    assert f"file {tmp_path}/edges.npz, array {message}" in str(caught.value)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = _files(tmp_path, "compressed")
    network = _network(ConnectionFile(path, "pre", "post", weights="w", delays="d"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(DescriptionError, match=r"cannot be read.*|out of range|finite"):
        file_edges(network)


@pytest.mark.parametrize("ranks", [1, 3, 7])
def test_every_record_goes_to_the_owner_of_its_target(ranks: int, tmp_path: Path) -> None:
    rule = ConnectionFile(_files(tmp_path, "npz"), "pre", "post", weights="w")
    network = _network(rule, delay=Normal(3.0, 1.0))
    (records,) = file_edges(network)[0]
    one = network.projections[0]
    for layout in layouts(network, ranks):
        parts = edges.split_by_owner(layout, one, records)
        assert len(parts) == ranks
        own = parts[layout.rank]
        assert np.all(layout.to_local(1, own["target"] + np.int64(9)) >= 0)
        # in the order of the file, and none is missing
        assert np.all(np.diff(own["number"]) > 0)
        every = np.sort(np.concatenate([part["number"] for part in parts]))
        np.testing.assert_array_equal(every, np.arange(N))
