"""Loihi beside nengo-loihi: the limits of a core, weights rounded alike, memory of synapses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from distsnn.network import Explicit, IafPscDelta, Network, Population, Projection
from distsnn.network.quanta import choose_quanta, to_integers
from distsnn.partition.boards.board import load_board
from distsnn.partition.boards.board_limits import apply_board_limits

pytestmark = pytest.mark.validation


def test_capacities_and_weights_are_nengo_loihis(ask_peer: Callable[[str], Any]) -> None:
    core, random = load_board("loihi").core, np.random.default_rng(2)
    given = [random.uniform(*ends, 300) for ends in ((0.0, 200.0), (-250.0, 0.0), (-90.0, 240.0))]
    said = ask_peer("nengo_loihi")(weights=[one.tolist() for one in given], rows=[])
    assert core.max_neurons.value == said["MAX_COMPARTMENTS"]
    assert core.in_axons.value == said["MAX_IN_AXONS"]
    assert core.out_axons.value == said["MAX_OUT_AXONS"]
    assert core.synapse_memory.value == said["MAX_SYNAPSE_BITS"] // 8
    assert core.weight_bits.value == said["WEIGHT_BITS"]
    assert f"{said['MAX_SYNAPSE_CFGS']} formats" in core.weight_scale.note
    for ours, theirs in zip(given, said["weights"], strict=True):
        cells = Population("P", 300, IafPscDelta())
        pairs = Explicit(np.arange(300), np.arange(300))
        network = Network([cells], [Projection(cells, cells, pairs, weight=ours, delay=1.0)])
        made = apply_board_limits(network, load_board("loihi")).network
        scales = choose_quanta(made)
        (exponent,), (shift,) = set(scales.exponent.values()), scales.shift
        integers = to_integers(made.projections[0].weight, exponent, shift)
        assert np.array_equal(np.ldexp(integers.astype(float), exponent), theirs)


def test_synapses_take_at_least_so_much_memory_as_we_reckon(
    ask_peer: Callable[[str], Any],
) -> None:
    core, random = load_board("loihi").core, np.random.default_rng(3)
    row, each = core.bytes_per_row.require("test"), core.bytes_per_synapse.require("test")
    rows = [
        random.integers(1, 400, 300),
        # the last word of each is full: nothing is left out
        np.array([6, 14, 22, 30, 38, 46, 54, 62]),
        # 784 inputs, all to all
        np.full(784, 165),
        np.full(784, 400),
    ]
    said = ask_peer("nengo_loihi")(weights=[], rows=[one.tolist() for one in rows])
    ours = [8 * (row * one.size + each * one.sum()) for one in rows]
    for bits, reckoned, of in zip(said["bits"], ours, rows, strict=True):
        assert reckoned <= bits <= reckoned + 72 * (-(-of // 64)).sum()
    assert said["bits"][1] == ours[1]
    # the larger layer is too large for both
    assert said["bits"][3] > said["MAX_SYNAPSE_BITS"]
    assert ours[3] > 8 * core.synapse_memory.require("test")
