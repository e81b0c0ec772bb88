"""Loihi beside SANA-FE: the same spikes of the same quantised weights, and what they cost.

SANA-FE reads the network with the mapping that we export, and knows nothing else of ours.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import ConnectionList, IafPscDelta, Network, Population, Projection
from distsnn.network.blocks import make_slices
from distsnn.partition.boards.board import load_board
from distsnn.partition.boards.board_limits import apply_board_limits
from distsnn.partition.boards.export import sanafe_mappings
from distsnn.partition.boards.mapping import map_graph
from distsnn.partition.boards.packet_counts import count_packets
from distsnn.partition.boards.report import mapping_report
from distsnn.partition.boards.resources import slice_to_fit
from distsnn.partition.boards.slice_connectivity import with_built_connectivity
from distsnn.partition.traffic import TrafficGraph, build_traffic_graph
from distsnn.simulation import Simulation
from distsnn.tools.board_slices import iterate_network_synapses

pytestmark = pytest.mark.validation

SIZES, STEPS, THRESHOLD = (40, 40, 24, 40, 33, 40), 400, 300.0
PAIRS = [(a, (a + by) % 6) for a in range(6) for by in (0, 1, 3)]


def test_spikes_packets_events_and_energy_are_sanafes(
    ask_peer: Callable[[str], Any], tmp_path: Path
) -> None:
    ask = ask_peer("sanafe")
    random = np.random.default_rng(5)
    biases = [random.integers(0, 25, size).astype(float) for size in SIZES]
    # no leak in so short a time; the threshold lies between two potentials
    populations = [
        Population(
            f"P{at}",
            size,
            IafPscDelta(
                **{"C_m": 1.0, "tau_m": 1e9, "E_L": 0.0, "V_reset": 0.0, "t_ref": 0.0},
                **{"V_th": THRESHOLD + 0.5, "I_e": bias},
            ),
        )
        for at, (size, bias) in enumerate(zip(SIZES, biases, strict=True))
    ]
    # between neighbours every pair, else few: not every neuron of a slice then reaches each core
    weights = {(a, b): random.normal(-1.0, 40.0, (SIZES[a], SIZES[b])) for a, b in PAIRS}
    edges = {
        (a, b): np.nonzero(random.random((SIZES[a], SIZES[b])) < (1.0 if a == b else 0.04))
        for a, b in PAIRS
    }
    projections = [
        Projection(
            *(populations[a], populations[b], ConnectionList(*edges[a, b])),
            weight=weights[a, b][edges[a, b]],
            delay=1.0,
        )
        for a, b in PAIRS
    ]
    loihi = load_board("loihi")
    core = replace(loihi.core, max_neurons=replace(loihi.core.max_neurons, value=16))
    board = replace(loihi, core=core)
    made = apply_board_limits(Network(populations, projections, dt=1.0), board)
    assert made.changes == ("weights of 8 bits: 18 of 18 projections",)
    network = made.network

    # what an integer of seven bits, a sign and an exponent can hold, worked out again
    def quantised(weight: np.ndarray) -> np.ndarray:
        step = 2.0 ** (np.floor(np.log2(np.abs(weight).max())) - 6)
        if np.round(np.abs(weight).max() / step) > 127:
            step *= 2.0
        return np.round(weight / step) * step

    with Simulation(network, out=tmp_path / "run.zarr", communicator=SingleProcess()) as simulation:
        simulation.run(STEPS)
    step, gid = StoreReader(tmp_path / "run.zarr").spikes()
    counts = np.bincount(gid, minlength=network.n_neurons)
    assert counts.sum() > 1000
    first = network.first_gid
    rates = {
        one.name: counts[first[one.name] : first[one.name] + one.size] * (1e3 / STEPS)
        for one in network.populations
    }

    def graph_of(neurons: int) -> TrafficGraph:
        table = make_slices(network, neurons)
        graph = build_traffic_graph(network, table, rates)
        return with_built_connectivity(
            graph, network, table, rates, iterate_network_synapses(network, 1)
        )

    graph, neurons, _ = slice_to_fit(graph_of, board)
    assert neurons == 16
    mapping = map_graph(graph, board, models=["iaf_psc_delta"], trials=50_000)
    names = list(first)
    said = ask(
        groups={
            name: {"biases": bias.tolist(), "threshold": THRESHOLD}
            for name, bias in zip(names, biases, strict=True)
        },
        edges=[
            [f"P{a}.{i}", f"P{b}.{j}", float(w)]
            for a, b in PAIRS
            for i, j, w in zip(*edges[a, b], quantised(weights[a, b][edges[a, b]]), strict=True)
        ],
        mappings=sanafe_mappings(mapping, names),
        steps=STEPS,
    )
    theirs = [
        (at, first[name] + int(index))
        for at, spikes in enumerate(said["spikes"], start=1)
        for name, index in (one.split(".") for one in spikes)
    ]
    assert sorted(theirs) == sorted(zip(step.tolist(), gid.tolist(), strict=True))
    ours = count_packets(mapping, counts)
    assert ours.packets < sum(
        int(counts[neuron]) * cores
        for neuron, cores in enumerate(
            np.repeat(np.diff(mapping.core_targets.start), graph.neurons)
        )
    )
    assert (ours.packets, ours.hops) == (said["packets"], said["hops"])
    events = sum(int(counts[first[f"P{a}"] + edges[a, b][0]].sum()) for a, b in PAIRS)
    assert said["events"] == events
    power, seconds = mapping_report(mapping, dt=network.dt)["power_W"], STEPS * 1e-3
    energy = {name: watts * seconds for name, watts in power.items() if watts is not None}
    assert energy["synaptic_event"] == pytest.approx(said["energy"]["synapse"])
    assert energy["neuron_update"] + energy["neuron_spike"] == pytest.approx(said["energy"]["soma"])
    on_the_way = energy["packet_out"] + energy["hop_x"] + energy["hop_y"]
    assert on_the_way == pytest.approx(said["energy"]["network"])
    assert sum(energy.values()) == pytest.approx(said["energy"]["total"])
