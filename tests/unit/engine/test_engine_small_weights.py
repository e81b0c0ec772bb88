"""Small weights beside large ones: each acts with its own value, or the network is refused."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from decoded import SOURCE, WEIGHT, Ints, layouts, of_wiring, scales, synapses

from distsnn.engine import wiring
from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    ConnectionFile,
    ConnectionList,
    ConnectionRule,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    Normal,
    OneToOne,
    Population,
    Projection,
    Tsodyks2,
)
from distsnn.network.magnitudes import FEW, NEGLIGIBLE
from distsnn.simulation import Simulation

E = Population("E", 200, IafPscExp())
ONE = Population("one", 1, IafPscExp())
D = Population("D", 600, IafPscDelta())


def _given(kind: str, weights: np.ndarray, folder: Path) -> Network:
    """Return a network in which source i has weight i."""
    numbers = np.arange(E.size)
    rule: ConnectionRule = OneToOne()
    post = E
    if kind == "explicit":
        rule = ConnectionList(numbers, numbers)
    elif kind == "file":
        np.savez(folder / "edges.npz", pre=numbers, post=numbers, w=weights)
        rule = ConnectionFile(folder / "edges.npz", "pre", "post", weights="w")
    elif kind == "all to all":
        rule, post = AllToAll(), ONE
        weights = weights[:, None]
    given = None if kind == "file" else weights
    populations = (E, ONE)
    return Network(populations, [Projection(E, post, rule, weight=given, delay=1.0)])


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("outlier", [1e7, -1e9])
@pytest.mark.parametrize("kind", ["one to one", "explicit", "file", "all to all"])
def test_outlier_does_not_change_other_weights(
    kind: str, outlier: float, ranks: int, tmp_path: Path
) -> None:
    weights = np.linspace(50.0, 60.0, E.size)
    weights[77] = outlier
    network = _given(kind, weights, tmp_path)
    found = synapses(network, ranks)
    quantum = scales(network).quantum("one" if kind == "all to all" else "E", "ex")
    np.testing.assert_array_equal(found[:, SOURCE], np.arange(E.size))
    np.testing.assert_allclose(found[:, WEIGHT] * quantum, weights, rtol=2.0**-10)


def _drawn(weight: object, **more: object) -> Network:
    one = Projection(D, D, FixedTotalNumber(20_000), weight=weight, delay=1.0, **more)
    return Network([D], [one])


def _stored(network: Network, ranks: int, exponent: int | None = None, **how: str) -> np.ndarray:
    """Return all weights, in an order that is that of the synapses; also with another quantum."""
    found: list[Ints] = []
    quanta = scales(network)
    if exponent is not None:
        quanta = replace(quanta, exponent={("D", "delta"): exponent}, shift=(0,))
    for layout in layouts(network, ranks):
        made = wiring.build_local_synapses(layout, quanta, 1, **how)
        found.append(of_wiring(layout, made))
        again = wiring.build_local_synapses(layout, quanta, 1, storage="procedural")
        np.testing.assert_array_equal(again.weight_sums, made.weight_sums)
    rows = np.concatenate(found)
    order = np.lexsort((rows[:, WEIGHT], *rows[:, :3].T))
    return rows[order, WEIGHT] * quanta.quantum("D", "delta")


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_draws_that_differ_by_orders_of_magnitude_keep_their_values(sigma: float) -> None:
    network = _drawn(Lognormal(0.0, sigma))
    exact = _stored(network, 1, exponent=-30)
    assert exact.max() > np.exp(3.5 * sigma)
    for ranks in (1, 2):
        for how in ({}, {"storage": "packed"}, {"storage": "explicit"}, {"delivery": "push"}):
            weights = _stored(network, ranks, **how)
            wrong = np.abs(weights - exact) > exact * 2.0**-10 * (1 + 1e-3)
            assert wrong.mean() <= FEW
            assert exact[wrong].sum() <= NEGLIGIBLE * exact.sum()
            assert np.mean(weights == 0.0) < 1e-3
            assert np.mean(np.abs(weights - exact) > 0.1 * exact) < 0.005
    # the bounds that the run reports are those of the weights
    error = scales(network).errors["D->D"]
    assert wrong.mean() <= error.share * 1.1
    assert error.share <= FEW
    assert error.part <= NEGLIGIBLE


def test_draws_beyond_a_packed_word_are_stored_beside_it() -> None:
    # two numbers of neurons: a narrower field of the word for the weight
    for size in (600, 5000):
        many = Population("D", size, IafPscDelta())
        one = Projection(
            many, many, FixedTotalNumber(20_000), weight=Lognormal(0.0, 2.0), delay=1.0
        )
        network = Network([many], [one])
        (layout,) = layouts(network, 1)
        made = wiring.build_local_synapses(layout, scales(network), 1, delivery="pull")
        bits = sorted((one.plan.word_bits, one.words.size) for one in made.row_sets)
        if size == 600:
            assert [word for word, _ in bits] == [32, 64]
            assert bits[1][1] < 0.02 * 20_000
            assert (
                made.nbytes
                < wiring.build_local_synapses(layout, scales(network), 1, storage="explicit").nbytes
            )
        else:
            # too many would be beside it
            assert [word for word, _ in bits] == [64]


def test_weights_that_a_synapse_model_scales() -> None:
    # an event of 1/64 of a weight keeps 2^-10, however large other input of the receptor is
    large = Projection(D, D, FixedTotalNumber(2), weight=1e9, delay=1.0, name="large")
    for weight in (1.0, Normal(1.0, 0.1), Lognormal(0.0, 2.0)):
        (one,) = _drawn(weight, synapse=Tsodyks2()).projections
        quanta = scales(Network([D], [one, large]))
        alone = scales(Network([D], [large]))
        assert alone.exponent["D", "delta"] > 0
        least = {1.0: 0}.get(weight, -4 if isinstance(weight, Lognormal) else -1)
        assert 2.0 ** quanta.exponent["D", "delta"] / 2 <= 2.0 ** (least - 6 - 10)


@pytest.mark.parametrize(("sigma", "bits", "warns"), [(3.0, None, 0), (4.0, None, 1), (4.0, 8, 0)])
def test_draws_of_which_many_are_inexact_warn(sigma: float, bits: int | None, warns: int) -> None:
    network = _drawn(Lognormal(0.0, sigma), weight_bits=bits, name="wide")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Simulation(network, progress=False).close()
    texts = [str(warning.message) for warning in caught]
    pattern = r"projection 'wide': .*: 88.7 % of the weights \(0.266 % of their total\) may have"
    assert sum(re.match(pattern, text) is not None for text in texts) == warns


def test_weights_beyond_the_widest_word_are_refused_with_figures() -> None:
    weights = np.full(200, 1e-3)
    weights[:50] = 1e12
    numbers = np.arange(200)
    one = Projection(E, E, ConnectionList(numbers, numbers), weights, 1.0, name="wide")
    with pytest.raises(DescriptionError) as caught:
        synapses(Network([E], [one]), 2)
    text = str(caught.value)
    assert caught.value.where == "population 'E', receptor 'ex'"
    assert "differ too much for the words of synapses" in text
    assert "75 % of the weights (3e-13 % of their total)" in text
    assert "in projection 'wide'" in text
    # what the user asks for is accepted
    found = synapses(Network([E], [replace(one, weight_bits=20)]), 2)
    assert set(found[50:, WEIGHT].tolist()) == {0}
