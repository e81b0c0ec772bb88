"""A network under a board's limits: changed where it must be, refused where it cannot be."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from board_graphs import of_matrix, sparse

from distsnn import examples
from distsnn.errors import DescriptionError
from distsnn.network import (
    STDP,
    Explicit,
    Exponential,
    FixedIndegree,
    IafPscExp,
    Izhikevich,
    Lognormal,
    Network,
    Normal,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    Projection,
    SpikeInput,
    TruncatedNormal,
    Uniform,
)
from distsnn.network.quanta import quanta
from distsnn.partition.boards.board import Board, load_board
from distsnn.partition.boards.constraints import constrained
from distsnn.partition.boards.counts import follow
from distsnn.partition.boards.export import as_data
from distsnn.partition.boards.mapping import Mapping, map_graph

E, INH = Population("E", 100, IafPscExp()), Population("I", 25, IafPscExp())
RULE = FixedIndegree(10)


def limited(*, step: float | None = None, **core: Any) -> Board:
    """Return spin5 with other figures of its cores and another step."""
    board = load_board("spin5")
    figures = {name: replace(getattr(board.core, name), value=core[name]) for name in core}
    time = replace(board.time, step=replace(board.time.step, value=step))
    return replace(board, core=replace(board.core, **figures), time=time)


def one(dt: float = 0.1, stimuli: tuple = (), **fields: Any) -> Network:
    given = {"rule": RULE, "weight": 10.0, "delay": 1.0} | fields
    return Network([E, INH], [Projection(E, E, **given)], stimuli, dt=dt)


def steps_of(network: Network) -> list[int]:
    """Return the exponent of the grid of each projection's weights."""
    made = quanta(network)
    names = [
        (p.post.population, "ex" if p.receptor is None else p.receptor) for p in network.projections
    ]
    return [made.exponent[key] + s for key, s in zip(names, made.shift, strict=True)]


def test_what_fits_is_the_same_network() -> None:
    # weights that are drawn have ten bits anyway
    network = one(dt=1.0, weight=Normal(40.0, 4.0), delay=Uniform(1.0, 9.0))
    made = constrained(network, load_board("spin5"))
    assert made.network is network
    assert (made.changes, made.unknown) == ((), ("core.fan_in",))
    free = limited(weight_bits=None, delay_steps=None, plastic=None)
    made = constrained(one(weight=1 / 3), free)
    assert made.changes == ()
    assert set(made.unknown) == {
        *("core.weight_bits", "core.delay_steps", "core.fan_in", "core.plastic", "time.step")
    }


def test_delays_are_rounded_to_steps_and_cut() -> None:
    made = constrained(one(delay=1.5), limited(step=1.0)).network
    assert (made.dt, made.projections[0].delay) == (1.0, 2.0)
    assert constrained(one(delay=0.3), limited(step=1.0)).network.projections[0].delay == 1.0
    assert constrained(one(delay=40.0), limited(step=1.0)).network.projections[0].delay == 16.0
    # a network with longer steps than the board's keeps them
    assert constrained(one(dt=2.0, delay=4.0), limited(step=1.0)).network.dt == 2.0
    rule = Explicit([0, 1, 2], [3, 4, 5])
    given = one(rule=rule, weight=[1.0, 2.0, 3.0], delay=[0.2, 2.4, 99.0])
    delays = constrained(given, limited(step=1.0)).network.projections[0].delay
    assert delays.tolist() == [1.0, 2.0, 16.0]


def test_longer_draws_of_delays_are_drawn_again() -> None:
    board = limited()  # 16 steps of the network's own 0.1 ms
    for drawn, high in (
        (Normal(1.0, 0.5), "cut"),
        (TruncatedNormal(1.0, 0.5, 0.1, 2.0), "cut"),
        (Uniform(0.5, 2.0), "cut"),
        (Uniform(0.5, 1.6), None),
    ):
        delay = constrained(one(delay=drawn), board).network.projections[0].delay
        if high is None:
            assert delay is drawn
            continue
        # what is drawn at most rounds to 16 steps
        assert math.floor(delay.support()[1] / 0.1 + 0.5) == 16
        assert delay.parameters()[:2] == pytest.approx(
            (drawn.parameters()[0], delay.parameters()[1])
        )
    for drawn in (Exponential(1.0), Lognormal(0.0, 0.5), Uniform(2.0, 3.0)):
        with pytest.raises(DescriptionError, match=r"'E->E', field delay.*core\.delay_steps = 16"):
            constrained(one(delay=drawn), board)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_are_multiples_that_have_no_more_bits(bits: int) -> None:
    drawn = Normal(40.0, 4.0)
    other = Projection(INH, E, RULE, weight=-5.0, delay=1.0, receptor="in")
    network = Network([E, INH], [Projection(E, E, RULE, weight=drawn, delay=1.0), other])
    made = constrained(network, limited(weight_bits=bits)).network
    largest = drawn.quantile_range(2.0**-60)[1]
    first, second = steps_of(made)
    assert 2 ** (bits - 1) <= round(largest / 2.0**first) < 2**bits
    # a scale of its own: another receptor
    assert 2 ** (bits - 1) <= round(5.0 / 2.0**second) < 2**bits
    assert quanta(made).field_bits[0] <= bits + 1


def test_weights_onto_a_receptor_share_a_scale_and_those_of_a_projection_if_so() -> None:
    weak = Projection(INH, E, RULE, weight=1.0, delay=1.0)
    strong = Projection(E, E, RULE, weight=7.7, delay=1.0)
    network = Network([E, INH], [weak, strong], [PoissonInput(E, 100.0, weight=10.3)])
    together = constrained(network, limited(weight_bits=4)).network
    assert steps_of(together) == [0, 0]
    assert together.stimuli[0].weight == 10.0
    own = constrained(network, limited(weight_bits=4, weight_scale="projection")).network
    assert steps_of(own) == [-3, -1]
    assert own.stimuli[0].weight == 10.0
    # 15.6 of 4 bits would be 16: the next scale
    up = Network([E], [Projection(E, E, RULE, weight=15.6, delay=1.0)])
    assert steps_of(constrained(up, limited(weight_bits=4)).network) == [1]


def test_both_signs_cost_a_bit() -> None:
    rule, weights = Explicit([0, 1], [2, 3]), [-6.0, 6.5]
    network = one(rule=rule, weight=weights)
    board = limited(weight_bits=3, weight_scale="projection")
    assert steps_of(constrained(network, board).network) == [1]
    assert steps_of(constrained(one(rule=rule, weight=[6.0, 7.0]), board).network) == [0]


def test_given_spikes_weights_are_rounded_one_by_one() -> None:
    spikes = SpikeInput(E, [1.0, 2.0, 3.0], [0, 1, 2], [7.4, 2.6, 0.3])
    made = constrained(one(stimuli=(spikes,)), limited(weight_bits=4)).network
    assert made.stimuli[0].weight.tolist() == [7.0, 3.0, 0.0]


def test_indegrees_shrink_in_proportion() -> None:
    network = Network(
        [E, INH],
        [
            Projection(E, E, FixedIndegree(60), weight=1.0, delay=1.0),
            Projection(INH, E, FixedIndegree(20), weight=-1.0, delay=1.0),
            Projection(INH, INH, FixedIndegree(10), weight=-1.0, delay=1.0),
        ],
    )
    made = constrained(network, limited(fan_in=64))
    assert [p.rule.indegree for p in made.network.projections] == [48, 16, 10]
    assert "at most 64 synapses: 2 of 3 projections" in made.changes
    # halves of a population are reckoned by themselves
    halves = Network(
        [E],
        [
            Projection(E, E[:50], FixedIndegree(50), weight=1.0, delay=1.0),
            Projection(E, E[50:], FixedIndegree(60), weight=1.0, delay=1.0),
        ],
    )
    made = constrained(halves, limited(fan_in=55))
    assert [p.rule.indegree for p in made.network.projections] == [50, 55]
    uneven = [Projection(E, E, FixedIndegree(n), 1.0, 1.0, name=f"{n}") for n in (100, 1)]
    message = r"'1', field rule: of 101 synapses onto a neuron none would be left"
    with pytest.raises(DescriptionError, match=message):
        constrained(Network([E], uneven), limited(fan_in=64))
    drawn = one(rule=PairwiseBernoulli(0.9))
    with pytest.raises(DescriptionError, match=r"'E->E', field rule: up to \d+.*core\.fan_in = 50"):
        constrained(drawn, limited(fan_in=50))


@pytest.mark.parametrize(
    ("network", "board", "message"),
    [
        (one(synapse=STDP()), limited(), "field synapse: learnt weights are real numbers"),
        (one(synapse=STDP()), limited(plastic=False, weight_bits=None), "do not learn"),
        (
            Network(
                [E],
                [Projection(E, E, RULE, w, 1.0, name=n) for w, n in ((1e-3, "weak"), (9.0, "big"))],
            ),
            limited(weight_bits=4),
            "'weak', field weight: all weights would become 0",
        ),
        (
            one(stimuli=(PoissonInput(E, 1.0, weight=1e-3),)),
            limited(weight_bits=4),
            "stimulus onto 'E', field weight: all weights would become 0",
        ),
        (one(), limited(weight_scale=None), r"core\.weight_scale: unknown"),
        (
            one(stimuli=(SpikeInput(E, [1.5], [0], 1.0),)),
            limited(step=1.0),
            r"steps are of 1 ms there; .*times\[0\]",
        ),
        (
            Network([Population("E", 9, Izhikevich())]),
            load_board("loihi"),
            "cannot run neurons of this model",
        ),
    ],
)
def test_what_cannot_be_applied_is_refused(network: Network, board: Board, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        constrained(network, board)


def test_the_microcircuit_has_loihis_weights_and_delays() -> None:
    network = examples.example("microcircuit").build(scale=0.1)
    made = constrained(network, load_board("loihi")).network
    assert all(p.weight_bits in (6, 7) for p in made.projections)
    longest = {p.delay.support()[1] for p in made.projections}
    assert {round(one, 3) for one in longest if one < 9.0} == {6.25}


# packets of spikes


def walked(mapping: Mapping, sent: list[tuple[int, int]]) -> tuple[int, int]:
    """Follow each spike (slice, neuron) by its own key through the exported tables."""
    data = as_data(mapping)
    names, steps = list(data["ports"]), data["ports"]
    tables = {(table["x"], table["y"]): table["entries"] for table in data["tables"]}
    width, height = mapping.machine.width, mapping.machine.height
    crossed = cores = 0
    for number, neuron in sent:
        start = data["slices"][number]
        key, waiting = start["key"] + neuron, [(start["x"], start["y"], None)]
        while waiting:
            x, y, along = waiting.pop()
            entry = next((e for e in tables[x, y] if key & e["mask"] == e["key"]), None)
            if entry is None and along is not None:
                ports, cores_here = [names[along]], []
            else:
                ports, cores_here = entry["ports"], entry["cores"]
            cores += len(cores_here)
            crossed += len(ports)
            for name in ports:
                dx, dy = steps[name]
                waiting.append(((x + dx) % width, (y + dy) % height, names.index(name)))
    return crossed, cores


def test_spikes_cross_as_many_links_as_predicted() -> None:
    mapping = map_graph(sparse(60, 8), load_board("spin5"), trials=5000)
    rng = np.random.default_rng(3)
    sent = list(
        zip(rng.integers(0, 60, 300).tolist(), rng.integers(0, 256, 300).tolist(), strict=True)
    )
    spikes = np.bincount([one for one, _ in sent], minlength=60)
    made = follow(mapping, spikes)
    assert (made.spikes, made.packets) == (300, 300)
    assert walked(mapping, sent) == (made.crossings, int(spikes @ np.diff(mapping.to.start)))
    loads = mapping.routes.loads(mapping.machine, spikes.astype(np.float64))
    assert loads.sum() == made.crossings


def test_single_packets_go_to_each_core() -> None:
    ring = np.roll(np.eye(20), 1, axis=1) + np.roll(np.eye(20), 7, axis=1)
    mapping = map_graph(of_matrix(50.0 * ring, rate=2.0), load_board("loihi"), trials=5000)
    spikes = np.arange(20)
    made, data = follow(mapping, spikes), as_data(mapping)["slices"]
    hops = packets = 0
    for one, n in enumerate(spikes):
        cores = {
            (data[to]["x"], data[to]["y"], data[to]["core"]) for to in np.flatnonzero(ring[one])
        }
        packets += n * len(cores)
        hops += n * sum(abs(x - data[one]["x"]) + abs(y - data[one]["y"]) for x, y, _ in cores)
    assert (made.packets, made.crossings) == (packets, hops)
