"""Whole networks on boards: of the examples, a classifier, areas with long delays between them."""

import math
from itertools import pairwise

import numpy as np
import pytest

from distsnn import examples
from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    FixedIndegree,
    IafPscDelta,
    IafPscExp,
    Network,
    Normal,
    Population,
    Projection,
    Uniform,
)
from distsnn.network.blocks import make_slices
from distsnn.partition.boards.board import Board, load_board
from distsnn.partition.boards.board_limits import apply_board_limits
from distsnn.partition.boards.mapping import BoardMapping, map_graph
from distsnn.partition.boards.report import mapping_report
from distsnn.partition.boards.resources import slice_to_fit
from distsnn.partition.traffic import build_traffic_graph


def mapped(network: Network, board: Board, **more) -> BoardMapping:
    graph = slice_to_fit(
        lambda n: build_traffic_graph(network, make_slices(network, n), 5.0), board
    ).graph
    models = [one.model.name for one in network.populations]
    return map_graph(graph, board, models=models, **({"trials": 50_000} | more))


def classifier() -> Network:
    """Return layers of 784, 400, 100 and 10 neurons, all to all, as they are after training."""
    random, sizes = np.random.default_rng(4), (784, 400, 100, 10)
    layers = [Population(f"L{at}", n, IafPscDelta()) for at, n in enumerate(sizes)]
    return Network(
        layers,
        [
            Projection(a, b, AllToAll(), random.normal(0.0, 1.0, (a.size, b.size)), delay=1.0)
            for a, b in pairwise(layers)
        ],
        dt=1.0,
    )


def areas(n: int = 32, largest: float = 16.0) -> Network:
    """Return areas of 1000 neurons; each sends to the next and to one at random, slowly."""
    random, made, projections = np.random.default_rng(6), [], []
    for at in range(n):
        made.append([Population(f"{x}{at}", s, IafPscExp()) for x, s in (("E", 800), ("I", 200))])
        for pre, indegree, weight in zip(made[at], (80, 20), (20.0, -80.0), strict=True):
            for post in made[at]:
                delay = Normal(1.5, 0.5)
                rule = FixedIndegree(indegree)
                projections.append(Projection(pre, post, rule, weight=weight, delay=delay))
    for at in range(n):
        for to in {(at + 1) % n, int(random.integers(n))} - {at}:
            far = Uniform(5.0, largest)
            pair = made[at][0], made[to][0]
            projections.append(Projection(*pair, FixedIndegree(20), weight=20.0, delay=far))
    return Network([one for area in made for one in area], projections, dt=1.0)


@pytest.mark.parametrize(
    ("name", "parameters", "neurons"),
    [
        ("microcircuit", {"scale": 0.02}, 1544),
        ("microcircuit", {"scale": 0.2}, 15435),
        ("brunel", {}, 12500),
    ],
)
def test_examples_are_delivered_whole(name: str, parameters: dict, neurons: int) -> None:
    network = examples.example(name).build(**parameters)
    mapping = mapped(network, load_board("spin5"))
    assert mapping.check() == []
    assert mapping.graph.neurons.sum() == network.n_neurons == neurons
    assert mapping.graph.n == sum(math.ceil(one.size / 256) for one in network.populations)


def test_a_classifier_runs_forward_on_spinnaker_and_loihi_but_not_on_akida() -> None:
    network = classifier()
    for name, slices_of in (("spin5", [4, 2, 1, 1]), ("loihi", [5, 3, 1, 1])):
        mapping = mapped(network, load_board(name))
        assert mapping.check() == []
        assert np.bincount(mapping.graph.population).tolist() == slices_of
        # every slice sends to the next layer, the last to none
        ends = mapping.graph.population[mapping.graph.target]
        assert (ends == mapping.graph.population[mapping.graph.source] + 1).all()
    made = apply_board_limits(network, load_board("loihi"))
    assert made.changes == ("weights of 8 bits: 3 of 3 projections",)
    akida = load_board("akida")
    graph = build_traffic_graph(network, make_slices(network, 1024))
    with pytest.raises(DescriptionError, match="thresholds without memory"):
        map_graph(graph, akida, models=["iaf_psc_delta"])
    # nothing else is in the way: it runs forward
    assert akida.core.recurrent.value is False
    with pytest.raises(DescriptionError, match=r"akida\.yaml: (?!core\.recurrent)"):
        map_graph(graph, akida)
    with pytest.raises(DescriptionError, match="the in_axons limit"):
        mapped(network, load_board("truenorth"))


def test_a_core_of_loihi_holds_no_more_synapses_than_its_memory() -> None:
    mapping = mapped(classifier(), load_board("loihi"))
    # of 784 x 400 synapses, each a byte, a core with 784 axons takes those onto 165 neurons
    held = np.bincount(mapping.core_targets.core_of_slice, mapping.resources.memory)
    assert held.max() <= 131_072 < 784 * 400
    assert mapping.graph.neurons.max() == 165
    assert mapping.resources.memory[mapping.graph.population == 1].tolist() == [
        784 * (2 + n) for n in (165, 165, 70)
    ]
    graph = build_traffic_graph(classifier(), make_slices(classifier(), 400))
    with pytest.raises(DescriptionError, match=r"its memory limit.*315168.*at most 131072"):
        map_graph(graph, load_board("loihi"))


@pytest.mark.validation
def test_the_full_microcircuit_takes_one_board() -> None:
    network = examples.example("microcircuit").build()
    mapping = mapped(network, load_board("spin5"), trials=None)
    assert mapping.check() == []
    said = mapping_report(mapping)
    assert (said["neurons"], said["boards"], said["slices"]) == (77_169, [1, 1], 305)
    assert said["chips"] <= 48
    assert said["table_entries"]["max_per_node"] <= 1023


def test_areas_keep_together_and_their_delays_are_cut() -> None:
    network = areas()
    mapping = mapped(network, load_board("spin5"), trials=200_000)
    assert mapping.check() == []
    assert mapping.graph.n == 32 * 5
    # an area has five slices, a chip room for 16: few spikes need leave it
    node = mapping.node_of_slice.reshape(32, 5)
    assert np.mean([np.unique(one).size for one in node]) < 2.0
    changes = apply_board_limits(network, load_board("spin5")).changes
    assert changes == ("weights of 16 bits: 191 of 191 projections",)
    slow = apply_board_limits(areas(4, 40.0), load_board("spin5"))
    far = [one.delay for one in slow.network.projections if isinstance(one.delay, Uniform)]
    assert {round(one.high, 6) for one in far} == {16.5}
