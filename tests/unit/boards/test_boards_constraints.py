"""A network under a board's limits: changed where it must be, refused where it cannot be."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import decoded
import numpy as np
import pytest
from networks.slices import of_matrix, sparse

from distsnn import examples
from distsnn.engine import wiring
from distsnn.errors import DescriptionError
from distsnn.network import (
    STDP,
    ConnectionFile,
    ConnectionList,
    Exponential,
    FixedIndegree,
    IafPscExp,
    Izhikevich,
    Lognormal,
    Network,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    Projection,
    SpikeInput,
    SpikeSource,
    TruncatedNormal,
    Uniform,
)
from distsnn.network.blocks import make_blocks
from distsnn.network.quanta import choose_quanta
from distsnn.partition.boards.board import Board, load_board
from distsnn.partition.boards.board_limits import apply_board_limits, check_network
from distsnn.partition.boards.export import to_json_data
from distsnn.partition.boards.mapping import BoardMapping, map_graph
from distsnn.partition.boards.packet_counts import count_packets
from distsnn.partition.traffic import build_traffic_graph
from distsnn.simulation import Simulation
from distsnn.simulation.edge_routing import read_edges

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
    made = choose_quanta(network)
    names = [
        (p.post.population, "ex" if p.receptor is None else p.receptor) for p in network.projections
    ]
    return [made.exponent[key] + s for key, s in zip(names, made.shift, strict=True)]


def test_what_fits_is_the_same_network() -> None:
    # weights that are drawn have ten bits anyway
    network = one(dt=1.0, weight=Normal(40.0, 4.0), delay=Uniform(1.0, 9.0))
    made = apply_board_limits(network, load_board("spin5"))
    assert made.network is network
    assert (made.changes, made.unknown_parameters) == ((), ("core.fan_in",))
    free = limited(weight_bits=None, delay_steps=None, plastic=None)
    made = apply_board_limits(one(weight=1 / 3), free)
    assert made.changes == ()
    assert set(made.unknown_parameters) == {
        *("core.weight_bits", "core.delay_steps", "core.fan_in", "core.plastic", "time.step")
    }


def test_bits_without_a_known_scale_are_not_applied(tmp_path: Path) -> None:
    network = one(weight=1 / 3, dt=1.0)
    made = apply_board_limits(network, limited(weight_scale=None))
    assert made.network is network
    assert (made.changes, made.unknown_parameters) == (
        (),
        ("core.weight_scale", "core.fan_in", "time.step"),
    )
    # nor is a file read for them
    rule = in_file(tmp_path / "edges.npz", sources=[0, 1], targets=[3, 4], weights=[1.0, 2.0])
    in_a_file = one(rule=rule, weight=None, dt=1.0)
    assert apply_board_limits(in_a_file, limited(weight_scale=None)).network is in_a_file


def test_delays_are_rounded_to_steps_and_cut() -> None:
    made = apply_board_limits(one(delay=1.5), limited(step=1.0)).network
    assert (made.dt, made.projections[0].delay) == (1.0, 2.0)
    assert apply_board_limits(one(delay=0.3), limited(step=1.0)).network.projections[0].delay == 1.0
    assert (
        apply_board_limits(one(delay=40.0), limited(step=1.0)).network.projections[0].delay == 16.0
    )
    # a network with longer steps than the board's keeps them
    assert apply_board_limits(one(dt=2.0, delay=4.0), limited(step=1.0)).network.dt == 2.0
    rule = ConnectionList([0, 1, 2], [3, 4, 5])
    given = one(rule=rule, weight=[1.0, 2.0, 3.0], delay=[0.2, 2.4, 99.0])
    delays = apply_board_limits(given, limited(step=1.0)).network.projections[0].delay
    assert delays.tolist() == [1.0, 2.0, 16.0]


def test_longer_draws_of_delays_are_drawn_again() -> None:
    board = limited()  # 16 steps of the network's own 0.1 ms
    for drawn, high in (
        (Normal(1.0, 0.5), "cut"),
        (TruncatedNormal(1.0, 0.5, 0.1, 2.0), "cut"),
        (Uniform(0.5, 2.0), "cut"),
        (Uniform(0.5, 1.6), None),
    ):
        delay = apply_board_limits(one(delay=drawn), board).network.projections[0].delay
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
            apply_board_limits(one(delay=drawn), board)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_are_multiples_that_have_no_more_bits(bits: int) -> None:
    drawn = Normal(40.0, 4.0)
    other = Projection(INH, E, RULE, weight=-5.0, delay=1.0, receptor="in")
    network = Network([E, INH], [Projection(E, E, RULE, weight=drawn, delay=1.0), other])
    made = apply_board_limits(network, limited(weight_bits=bits)).network
    largest = drawn.quantile_range(2.0**-60)[1]
    first, second = steps_of(made)
    assert 2 ** (bits - 1) <= round(largest / 2.0**first) < 2**bits
    # a scale of its own: another receptor
    assert 2 ** (bits - 1) <= round(5.0 / 2.0**second) < 2**bits
    assert choose_quanta(made).field_bits[0] <= bits + 1


def test_weights_onto_a_receptor_share_a_scale_and_those_of_a_projection_if_so() -> None:
    weak = Projection(INH, E, RULE, weight=1.0, delay=1.0)
    strong = Projection(E, E, RULE, weight=7.7, delay=1.0)
    network = Network([E, INH], [weak, strong], [PoissonInput(E, 100.0, weight=10.3)])
    together = apply_board_limits(network, limited(weight_bits=4)).network
    assert steps_of(together) == [0, 0]
    assert together.stimuli[0].weight == 10.0
    own = apply_board_limits(network, limited(weight_bits=4, weight_scale="projection")).network
    assert steps_of(own) == [-3, -1]
    assert own.stimuli[0].weight == 10.0
    # 15.6 of 4 bits would be 16: the next scale
    up = Network([E], [Projection(E, E, RULE, weight=15.6, delay=1.0)])
    assert steps_of(apply_board_limits(up, limited(weight_bits=4)).network) == [1]


def weights_of(network: Network) -> np.ndarray:
    """Return the first weights of a network's one plastic projection."""
    (layout,) = decoded.layouts(network, 1)
    (rows,) = wiring.build_local_synapses(layout, decoded.scales(network), 1).plastic
    shared = [
        wiring.build_local_synapses(one, decoded.scales(network), 1).plastic[0].weights
        for one in decoded.layouts(network, 2)
    ]
    # the same on any number of ranks
    np.testing.assert_array_equal(np.sort(np.concatenate(shared)), np.sort(rows.weights))
    return rows.weights


def test_learnt_weights_start_with_the_boards_bits() -> None:
    rule = STDP(w_max=30.0)
    random = np.random.default_rng(2)
    explicit = ConnectionList(*random.integers(0, 100, (2, 50)))
    for weight, of in (
        (Uniform(5.0, 30.0), RULE),
        (20.3, RULE),
        (random.uniform(9, 30, 50), explicit),
    ):
        network = one(weight=weight, rule=of, synapse=rule)
        made = apply_board_limits(network, limited(weight_bits=4))
        assert made.changes == (
            "weights of 4 bits: 1 of 1 projections",
            "plastic weights have these bits at the start only: 1 of 1 projections",
        )
        # the bound, 30, has the bits: steps of 2
        before, after = weights_of(network), weights_of(made.network)
        np.testing.assert_array_equal(after, np.minimum(2.0 * np.rint(before / 2.0), 30.0))
        assert not (after == before).all()
    # a bound that is no multiple is not exceeded
    high = one(weight=Uniform(25.1, 27.8), synapse=STDP(w_max=27.9))
    made = apply_board_limits(high, limited(weight_bits=4)).network
    with Simulation(made) as simulation:
        after = simulation[str(made.projections[0].name)].weights
    assert set(after.astype(np.float32)) == {np.float32(26.0), np.float32(27.9)}
    # nobody said whether DYNAP-SE learns
    free = apply_board_limits(one(synapse=rule), limited(plastic=None, weight_bits=None))
    assert (free.changes, "core.plastic" in free.unknown_parameters) == ((), True)


def test_learnt_weights_less_than_a_step_apart_act_differently() -> None:
    sources = Population("S", 3, SpikeSource([1.0, 1.0, 1.0], [0, 1, 2]))
    targets = Population("T", 3, IafPscExp(V_th=1e9))
    learning = Projection(
        *(sources, targets, OneToOne(), 20.0, 1.0), synapse=STDP(w_max=30.0), name="learning"
    )
    network = Network([sources, targets], [learning])
    # steps of 2
    made = apply_board_limits(network, limited(weight_bits=4)).network
    with Simulation(made) as simulation:
        simulation["learning"].learning = False
        simulation["learning"].weights = given = np.array([20.0, 20.3, 20.301])
        simulation.run(2.0)
        arrived = simulation["T"].state["I_syn_ex"]
    np.testing.assert_allclose(arrived, given, rtol=1e-6)


def test_boards_bits_are_no_more_than_a_learning_projection_has() -> None:
    few = one(synapse=STDP(w_max=30.0), weight_bits=2)
    assert apply_board_limits(few, limited(weight_bits=8)).network == few


def in_file(path: Path, **arrays: Any) -> ConnectionFile:
    np.savez(path, **arrays)
    names = {name: name for name in ("weights", "delays") if name in arrays}
    return ConnectionFile(str(path), **names)


def reader(network: Network) -> Any:
    return partial(read_edges, dt=network.dt)


def test_weights_in_a_file_have_the_boards_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    sources, targets = np.divmod(random.permutation(10_000)[:2000], 100)
    weights = random.normal(0.0, 20.0, 2000)
    rule = in_file(tmp_path / "edges.npz", sources=sources, targets=targets, weights=weights)
    network = one(rule=rule, weight=None)
    made = apply_board_limits(network, limited(weight_bits=5), reader(network))
    assert made.changes == ("weights of 5 bits: 1 of 1 projections",)
    found = decoded.synapses(made.network)
    scales = decoded.scales(made.network)
    got = np.ldexp(found[:, decoded.WEIGHT].astype(float), scales.exponent["E", "ex"])
    step = 2.0 ** math.ceil(math.log2(np.abs(weights).max() / 31.5))
    key = found[:, decoded.SOURCE] * 100 + found[:, decoded.TARGET]
    wanted = dict(zip((sources * 100 + targets).tolist(), weights, strict=True))
    rounded = [step * np.rint(wanted[one] / step) for one in key.tolist()]
    np.testing.assert_array_equal(got, rounded)
    # a few large weights of another projection onto the receptor leave nothing of these
    big = Projection(E, E, RULE, weight=1e6, delay=1.0, name="big")
    both = Network([E, INH], [replace(network.projections[0], name="small"), big])
    with pytest.raises(DescriptionError, match="'small', field weight: all weights would become 0"):
        apply_board_limits(both, limited(weight_bits=5), reader(both))
    with pytest.raises(DescriptionError, match="no reader of edge files is given"):
        apply_board_limits(network, limited(weight_bits=5))


def test_delays_in_a_file_are_kept_where_the_board_has_them(tmp_path: Path) -> None:
    ends = {"sources": [0, 1, 2], "targets": [3, 4, 4]}
    rule = in_file(tmp_path / "edges.npz", **ends, delays=[2.0, 4.0, 16.0])
    network = one(rule=rule, weight=1.0, delay=None)
    for step in (1.0, 2.0, None):
        made = apply_board_limits(
            network, limited(step=step, delay_steps=160), reader(network)
        ).network
        assert made.projections[0].rule is rule
    for board, figure in (
        (limited(step=1.0, delay_steps=15), "core.delay_steps = 15"),
        (limited(step=3.0), "core.delay_steps = 16"),
        (limited(step=3.0, delay_steps=None), "time.step = 3"),
    ):
        message = rf"field rule\.delays: .* multiples of 2 ms, up to 16 ms.*{figure}"
        with pytest.raises(DescriptionError, match=message):
            apply_board_limits(network, board, reader(network))
    # two synapses onto one neuron; three edges are no limit
    wide = {"delay_steps": 160, "weight_bits": None}
    assert apply_board_limits(network, limited(fan_in=2, **wide), reader(network)).changes == ()
    with pytest.raises(DescriptionError, match=r"up to 2 synapses.*core\.fan_in = 1"):
        apply_board_limits(network, limited(fan_in=1, **wide), reader(network))


def test_edge_file_without_limits_is_not_read(tmp_path: Path) -> None:
    ends = {"sources": [0, 1], "targets": [3, 4]}
    plain = in_file(tmp_path / "plain.npz", **ends)
    longest = limited(weight_bits=None, fan_in=None, delay_steps=16)
    made = apply_board_limits(one(rule=plain, dt=1.0, delay=20.0), longest).network
    assert made.projections[0].delay == 16.0
    delays = one(rule=in_file(tmp_path / "delays.npz", **ends, delays=[1.0, 2.0]), delay=None)
    free = limited(weight_bits=None, fan_in=None, delay_steps=None)
    assert apply_board_limits(delays, free).network is delays
    for figures in ({"weight_bits": 5}, {"fan_in": 5}, {"delay_steps": 5}):
        board = limited(**{"weight_bits": None, "fan_in": None, "delay_steps": None, **figures})
        with pytest.raises(DescriptionError, match="no reader of edge files is given"):
            apply_board_limits(delays, board)


def test_both_signs_cost_a_bit() -> None:
    rule, weights = ConnectionList([0, 1], [2, 3]), [-6.0, 6.5]
    network = one(rule=rule, weight=weights)
    board = limited(weight_bits=3, weight_scale="projection")
    assert steps_of(apply_board_limits(network, board).network) == [1]
    assert steps_of(apply_board_limits(one(rule=rule, weight=[6.0, 7.0]), board).network) == [0]


def test_weights_of_listed_spikes_are_rounded_individually() -> None:
    spikes = SpikeInput(E, [1.0, 2.0, 3.0], [0, 1, 2], [7.4, 2.6, 0.3])
    made = apply_board_limits(one(stimuli=(spikes,)), limited(weight_bits=4)).network
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
    made = apply_board_limits(network, limited(fan_in=64))
    assert [p.rule.indegree for p in made.network.projections] == [48, 16, 10]
    assert "at most 64 synapses: 2 of 3 projections" in made.changes
    # halves of a population are reckoned by themselves
    for first, second in ((E[:50], E[50:]), (E[::2], E[1::2]), (E[[0, 2]], E[[1, 3]])):
        halves = Network(
            [E],
            [
                Projection(E, first, FixedIndegree(50), weight=1.0, delay=1.0),
                Projection(E, second, FixedIndegree(60), weight=1.0, delay=1.0),
            ],
        )
        made = apply_board_limits(halves, limited(fan_in=55))
        assert [p.rule.indegree for p in made.network.projections] == [50, 55]
    # one neuron gets synapses of both projections
    both = Network(
        [E],
        [
            Projection(E, E[::2], FixedIndegree(60), weight=1.0, delay=1.0),
            Projection(E, E[[1, 3, 98]], FixedIndegree(60), weight=1.0, delay=1.0),
        ],
    )
    made = apply_board_limits(both, limited(fan_in=60))
    assert [p.rule.indegree for p in made.network.projections] == [30, 30]
    uneven = [Projection(E, E, FixedIndegree(n), 1.0, 1.0, name=f"{n}") for n in (100, 1)]
    message = r"'1', field rule: of 101 synapses onto a neuron, none of this projection"
    with pytest.raises(DescriptionError, match=message):
        apply_board_limits(Network([E], uneven), limited(fan_in=64))
    drawn = one(rule=PairwiseBernoulli(0.9))
    with pytest.raises(DescriptionError, match=r"'E->E', field rule: up to \d+.*core\.fan_in = 50"):
        apply_board_limits(drawn, limited(fan_in=50))


@pytest.mark.parametrize(
    ("network", "board", "message"),
    [
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
        (
            one(stimuli=(SpikeInput(E, [1.5], [0], 1.0),)),
            limited(step=1.0),
            r"the time step of the board is 1 ms; .*times\[0\]",
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
        apply_board_limits(network, board)


def test_the_microcircuit_has_loihis_weights_and_delays() -> None:
    network = examples.example("microcircuit").build(scale=0.1)
    made = apply_board_limits(network, load_board("loihi")).network
    assert all(p.weight_bits in (6, 7) for p in made.projections)
    longest = {p.delay.support()[1] for p in made.projections}
    assert {round(one, 3) for one in longest if one < 9.0} == {6.25}


# packets of spikes


def walked(mapping: BoardMapping, sent: list[tuple[int, int]]) -> tuple[int, int]:
    """Follow each spike (slice, neuron) by its own key through the exported tables."""
    data = to_json_data(mapping)
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
    made = count_packets(mapping, spikes)
    assert (made.spikes, made.packets) == (300, 300)
    assert walked(mapping, sent) == (made.hops, int(spikes @ np.diff(mapping.core_targets.start)))
    loads = mapping.routes.loads(mapping.machine, spikes.astype(np.float64))
    assert loads.sum() == made.hops


def test_single_packets_go_to_each_core() -> None:
    ring = np.roll(np.eye(20), 1, axis=1) + np.roll(np.eye(20), 7, axis=1)
    mapping = map_graph(of_matrix(50.0 * ring, rate=2.0), load_board("loihi"), trials=5000)
    spikes = np.arange(20)
    made, data = count_packets(mapping, spikes), to_json_data(mapping)["slices"]
    hops = packets = 0
    for one, n in enumerate(spikes):
        cores = {
            (data[to]["x"], data[to]["y"], data[to]["core"]) for to in np.flatnonzero(ring[one])
        }
        packets += n * len(cores)
        hops += n * sum(abs(x - data[one]["x"]) + abs(y - data[one]["y"]) for x, y, _ in cores)
    assert (made.packets, made.hops) == (packets, hops)


def test_projections_without_synapses_make_no_network_recurrent() -> None:
    there = Projection(E, INH, RULE, 10.0, 1.0)
    board = limited(recurrent=False)
    for p, runs in ((0.0, True), (0.1, False)):
        network = Network([E, INH], [there, Projection(INH, E, PairwiseBernoulli(p), 10.0, 1.0)])
        graph = build_traffic_graph(network, make_blocks(network))
        if runs:
            check_network(network, board)
            assert map_graph(graph, board).check() == []
            continue
        for refuse, given in ((check_network, network), (map_graph, graph)):
            with pytest.raises(DescriptionError, match="cannot run a recurrent network"):
                refuse(given, board)
