#!/usr/bin/env python3
"""Our partitions beside those of mtkahypar, on the same network, counted on drawn synapses.

``python benchmarks/partitioning.py`` needs ``pip install mtkahypar``. It prints as JSON

- `quality`: 32 modules of 20,000 neurons on 8 ranks: pairs of (spike, remote rank) per s, and
  seconds; round robin, ours on blocks, and mtkahypar's default on a hypergraph of neurons;
- `size`: a million neurons in blocks, 8 ranks: seconds and peak memory;
- `groups`: modules that ranks must share, so that near synapses are cut: exchanges per s as they
  are, with one epoch for all ranks, and as they would be with short epochs inside groups of ranks
  and long ones between groups (which distsnn does not do).

What longer epochs bring: ``mpiexec -n 2 python benchmarks/partitioning.py epochs`` runs the modules
by round robin and by `graph` in turn.
"""

import json
import resource
import statistics
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from networks.modules import build, rates

from distsnn.comm import Communicator, start
from distsnn.network import FixedIndegree, Network
from distsnn.network.blocks import blocks
from distsnn.partition.assignment import assign
from distsnn.partition.delays import smallest_across
from distsnn.partition.graph import Cost, Graph
from distsnn.partition.traffic import TrafficGraph, neuron_rates, traffic
from distsnn.simulation import Simulation

RANKS, REPEATS = 8, 3
Ints = npt.NDArray[np.int64]


def synapses(network: Network, seed: int = 1) -> tuple[Ints, Ints]:
    """Draw the edges of fixed indegrees, sources and targets as gids."""
    draw = np.random.default_rng(seed)
    sources, targets = [], []
    for one in network.projections:
        assert isinstance(one.rule, FixedIndegree)
        n = one.rule.indegree * one.post.size
        sources.append(network.first_gid[one.pre.population] + draw.integers(0, one.pre.size, n))
        target = network.first_gid[one.post.population] + np.arange(one.post.size)
        targets.append(np.repeat(target, one.rule.indegree))
    return np.concatenate(sources), np.concatenate(targets)


def counted(edges: tuple[Ints, Ints], owner: Ints, rate: npt.NDArray[np.float64]) -> float:
    """Return pairs of (spike, remote rank) per s."""
    remote = owner[edges[0]] != owner[edges[1]]
    pairs = np.unique(edges[0][remote] * RANKS + owner[edges[1][remote]])
    return float(rate[pairs // RANKS].sum())


def mtkahypar_owner(
    edges: tuple[Ints, Ints], weight: npt.NDArray[np.float64], rate: npt.NDArray[np.float64]
) -> Ints:
    """Return the rank of each neuron by mtkahypar's default: a net for each source."""
    import mtkahypar

    pairs = np.unique(edges[0] * weight.size + edges[1])
    source, target = np.divmod(pairs, weight.size)
    ends = np.searchsorted(source, np.arange(weight.size + 1))
    nets = [
        [v, *target[ends[v] : ends[v + 1]][target[ends[v] : ends[v + 1]] != v].tolist()]
        for v in range(weight.size)
    ]
    library: Any = mtkahypar.initialize(2)
    context = library.context_from_preset(mtkahypar.PresetType.DEFAULT)
    context.set_partitioning_parameters(RANKS, 0.03, mtkahypar.Objective.KM1)
    mtkahypar.set_seed(1)
    hypergraph = library.create_hypergraph(
        *(context, weight.size, weight.size, nets),
        *(np.rint(weight / weight.min() * 100).astype(int).tolist(),),
        *(np.maximum(1, np.rint(rate * 1000)).astype(int).tolist(),),
    )
    made = hypergraph.partition(context)
    return np.array([made.block_id(v) for v in range(weight.size)])


def quality() -> dict[str, Any]:
    """Compare partitions of 32 modules."""
    network = build()
    table, given, edges = blocks(network), rates(network), synapses(network)
    rate = neuron_rates(network, given)
    Graph(given).assign(network, table, RANKS)  # kernels are compiled, or loaded
    spent = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        ours = Graph(given).assign(network, table, RANKS)
        spent.append(time.perf_counter() - begin)
    graph = traffic(network, table, given)
    work = Cost().of(graph.neurons, graph.events, network.dt)
    weight = np.repeat(work / table.size, table.size)
    begin = time.perf_counter()
    theirs = mtkahypar_owner(edges, weight, rate)
    theirs_s = time.perf_counter() - begin
    owners = {
        "round_robin": np.repeat(assign(table, RANKS, "round_robin").owner, table.size),
        "ours": np.repeat(ours.owner, table.size),
        "mtkahypar": theirs,
    }
    load = {name: np.bincount(one, weight, minlength=RANKS) for name, one in owners.items()}
    cost = {name: counted(edges, one.astype(np.int64), rate) for name, one in owners.items()}
    return {
        "spike_rank_pairs_per_s": {name: round(one) for name, one in cost.items()},
        "ours / mtkahypar's": round(cost["ours"] / cost["mtkahypar"], 4),
        "imbalance": {name: round(one.max() / one.mean() - 1, 4) for name, one in load.items()},
        "ours_s": round(statistics.median(spent), 3),
        "mtkahypar_s": round(theirs_s, 1),
    }


def size() -> dict[str, Any]:
    """Measure the partition of a million neurons."""
    network = build(modules=100, neurons=1_000_000, inside=1000, between=400)
    given = rates(network)
    begin = time.perf_counter()
    made = Graph(given).assign(network, blocks(network), RANKS)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "neurons": network.n_neurons,
        "blocks": made.owner.size,
        "seconds": round(time.perf_counter() - begin, 2),
        "peak_rss_bytes": peak,
    }


def groups() -> dict[str, Any]:
    """Predict what epochs of two lengths would save where modules are shared by ranks."""
    found = {}
    for modules in (8, 16):
        network = build(modules=modules, neurons=640 * modules)
        graph = traffic(network, blocks(network), rates(network))
        strategy, dt = Graph(rates(network)), network.dt
        for ranks in (modules, 2 * modules):
            one = smallest_across(graph, strategy.assign_graph(graph, dt, ranks).owner)
            two = [
                _two_levels(graph, strategy, dt, ranks // size, size)
                for size in range(2, ranks // 2 + 1)
                if ranks % size == 0
            ]
            # the longest epochs between groups, then inside of them, then the smallest groups
            outer, inner, size = max(two, key=lambda delays: (delays[0], delays[1], -delays[2]))
            found[f"{modules} modules, {ranks} ranks"] = {
                "one level: among all ranks": round(1e3 / (one * dt)),
                "two levels: among all ranks": round(1e3 / (outer * dt)),
                f"two levels: among groups of {size}": round(1e3 / (inner * dt)),
            }
    return found


def _two_levels(
    graph: TrafficGraph, strategy: Graph, dt: float, groups: int, size: int
) -> tuple[int, int, int]:
    """Return the smallest delays between groups and between ranks of a group, and its size."""
    owner = strategy.assign_graph(graph, dt, groups).owner
    inner = []
    for group in range(groups):
        part = _part(graph, owner == group)
        inner.append(smallest_across(part, strategy.assign_graph(part, dt, size).owner))
    outer = smallest_across(graph, owner)
    return outer, min(outer, *inner), size


def _part(graph: TrafficGraph, chosen: npt.NDArray[np.bool_]) -> TrafficGraph:
    """Return the graph of some slices, without edges from and to others."""
    edges = chosen[graph.source] & chosen[graph.target]
    number = np.cumsum(chosen) - 1
    source = number[graph.source[edges]]
    return TrafficGraph(
        *(one[chosen] for one in (graph.population, graph.first, graph.neurons, graph.rate)),
        np.searchsorted(source, np.arange(np.count_nonzero(chosen) + 1)),
        number[graph.target[edges]].astype(np.int32),
        graph.synapses[edges],
        graph.delay[edges],
    )


def epochs(ranks: Communicator) -> int:
    """Run the modules by two strategies in turn, and print wall times of 1 s (medians of 3)."""
    network = build()
    found: dict[str, list[float]] = {"round_robin": [], "graph": []}
    exchanges = {}
    for _ in range(REPEATS):
        for strategy, spent in found.items():
            with Simulation(network, partition=strategy, communicator=ranks) as simulation:
                simulation.run(200.0)
                before = simulation.counted().epochs
                ranks.allgather(0)
                begin = time.perf_counter()
                simulation.run(1000.0)
                spent.append(max(ranks.allgather(time.perf_counter() - begin)))
                exchanges[strategy] = simulation.counted().epochs - before
    if ranks.rank == 0:
        medians = {name: round(statistics.median(one), 3) for name, one in found.items()}
        print(json.dumps({"ranks": ranks.size, "exchanges": exchanges, "wall_s": medians}))
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["epochs"]:
        sys.exit(start(epochs))
    print(json.dumps({"groups": groups()}), flush=True)
    print(json.dumps({"size": size()}), flush=True)
    print(json.dumps({"quality": quality()}))
