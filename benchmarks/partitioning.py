#!/usr/bin/env python3
"""Our partitions beside those of mtkahypar, on the same network, counted on drawn synapses.

``python benchmarks/partitioning.py`` needs mtkahypar (extra `quality`). It prints as JSON

- `quality`: 32 modules of 20,000 neurons on 8 ranks: pairs of (spike, remote rank) per s, and
  seconds; round robin, ours on blocks (the best quality starts from mtkahypar too), and
  mtkahypar's default on a hypergraph of neurons;
- `size`: a million neurons in blocks, 8 ranks: seconds and peak memory;
- `groups`: modules that ranks must share, so that near synapses are cut: exchanges per s with one
  epoch for all ranks, and expected of the groups of ranks that `graph` makes.

What longer epochs bring: ``mpiexec -n 2 python benchmarks/partitioning.py epochs`` runs the modules
by round robin and by `graph` in turn. What groups bring: ``mpiexec -n 4 python
benchmarks/partitioning.py groups`` runs half as many modules as ranks by `graph`, with its groups
and without, in turn, and counts exchanges.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from networks.modules import build, rates

from distsnn.comm import Communicator, run_program
from distsnn.network import FixedIndegree, Network
from distsnn.network.blocks import make_blocks
from distsnn.partition.assignment import Assignment, make_assignment
from distsnn.partition.graph import CostModel, Graph
from distsnn.partition.metrics import expected_metrics
from distsnn.partition.traffic import build_traffic_graph, neuron_rates
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
    table, given, edges = make_blocks(network), rates(network), synapses(network)
    rate = neuron_rates(network, given)
    Graph(given).assign(network, table, RANKS)  # kernels are compiled, or loaded
    spent = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        ours = Graph(given).assign(network, table, RANKS)
        spent.append(time.perf_counter() - begin)
    graph = build_traffic_graph(network, table, given)
    work = CostModel().total(graph.neurons, graph.event_rate, network.dt)
    weight = np.repeat(work / table.size, table.size)
    begin = time.perf_counter()
    theirs = mtkahypar_owner(edges, weight, rate)
    theirs_s = time.perf_counter() - begin
    begin = time.perf_counter()
    best = Graph(given, quality="best").assign(network, table, RANKS)
    best_s = time.perf_counter() - begin
    owners = {
        "round_robin": np.repeat(make_assignment(table, RANKS, "round_robin").owner, table.size),
        "ours": np.repeat(ours.owner, table.size),
        "ours, best": np.repeat(best.owner, table.size),
        "mtkahypar": theirs,
    }
    load = {name: np.bincount(one, weight, minlength=RANKS) for name, one in owners.items()}
    cost = {name: counted(edges, one.astype(np.int64), rate) for name, one in owners.items()}
    return {
        "spike_rank_pairs_per_s": {name: round(one) for name, one in cost.items()},
        "ours / mtkahypar's": round(cost["ours"] / cost["mtkahypar"], 4),
        "imbalance": {name: round(one.max() / one.mean() - 1, 4) for name, one in load.items()},
        "ours_s": round(statistics.median(spent), 3),
        "ours_best_s": round(best_s, 3),
        "mtkahypar_s": round(theirs_s, 1),
    }


def size() -> dict[str, Any]:
    """Measure the partition of a million neurons."""
    network = build(modules=100, neurons=1_000_000, inside=1000, between=400)
    given = rates(network)
    begin = time.perf_counter()
    made = Graph(given).assign(network, make_blocks(network), RANKS)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "neurons": network.n_neurons,
        "blocks": made.owner.size,
        "seconds": round(time.perf_counter() - begin, 2),
        "peak_rss_bytes": peak,
    }


def groups() -> dict[str, Any]:
    """Tell what is expected of epochs of two lengths where modules are shared by ranks."""
    found = {}
    for modules in (8, 16):
        network = build(modules=modules, neurons=640 * modules)
        graph = build_traffic_graph(network, make_blocks(network), rates(network))
        for ranks in (modules, 2 * modules):
            made = Graph(rates(network)).assign_graph(graph, network, ranks)
            flat, grouped = (
                expected_metrics(network, graph, one, rates(network))
                for one in (replace(made, groups=()), made)
            )
            found[f"{modules} modules, {ranks} ranks"] = {
                "one level: among all ranks": round(flat.exchanges),
                "two levels: among all ranks": round(grouped.exchanges),
                f"two levels: among groups of {made.groups[0]}": round(grouped.group_exchanges),
            }
    return found


def shared(ranks: Communicator) -> int:
    """Run modules that two ranks share, in groups and without, and print what was counted."""
    network = build(modules=ranks.size // 2, neurons=2000 * ranks.size)
    made = None
    if ranks.rank == 0:
        made = Graph().assign(network, make_blocks(network), ranks.size)
    made = ranks.bcast(made)
    assert made is not None
    ways = {"one level": replace(made, groups=()), "two levels": made}
    _in_turn(network, ways, ranks)
    return 0


def epochs(ranks: Communicator) -> int:
    """Run the modules by two strategies in turn, and print what was counted."""
    network = build()
    _in_turn(network, {name: name for name in ("round_robin", "graph")}, ranks)
    return 0


def _in_turn(network: Network, ways: Mapping[str, str | Assignment], ranks: Communicator) -> None:
    """Run 1 s by several partitions in turn, and print exchanges and wall times (medians)."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    exchanges = {}
    for _ in range(REPEATS):
        for name, partition in ways.items():
            with Simulation(network, partition=partition, communicator=ranks) as simulation:
                simulation.run(200.0)
                before = simulation.counted()
                ranks.allgather(0)
                begin = time.perf_counter()
                simulation.run(1000.0)
                spent[name].append(max(ranks.allgather(time.perf_counter() - begin)))
                after = simulation.counted()
                exchanges[name] = [
                    after.exchanges - before.exchanges,
                    after.group_exchanges - before.group_exchanges,
                ]
    if ranks.rank == 0:
        print(
            json.dumps(
                {
                    "ranks": ranks.size,
                    "exchanges among all ranks, inside groups": exchanges,
                    "wall_s": {
                        name: round(statistics.median(one), 3) for name, one in spent.items()
                    },
                }
            )
        )


if __name__ == "__main__":
    if sys.argv[1:] in (["epochs"], ["groups"]):
        sys.exit(run_program(epochs if sys.argv[1] == "epochs" else shared))
    print(json.dumps({"groups": groups()}), flush=True)
    print(json.dumps({"size": size()}), flush=True)
    print(json.dumps({"quality": quality()}))
