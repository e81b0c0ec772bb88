"""``distsnn partition``: what ways of dealing a network out to ranks come to, or came to."""

import json
from argparse import Namespace
from dataclasses import replace
from functools import partial

import numpy as np

from distsnn.cli.models import load_model
from distsnn.cli.rates import load_rates
from distsnn.cli.tables import columns
from distsnn.comm import Communicator
from distsnn.engine.footprint import expected_bytes
from distsnn.engine.layout import Layout
from distsnn.errors import StoreError
from distsnn.io.reader import StoreReader
from distsnn.io.summary import summarise
from distsnn.network.blocks import blocks
from distsnn.network.quanta import quanta
from distsnn.partition.assignment import STRATEGIES, Assignment, assign
from distsnn.partition.graph import Graph
from distsnn.partition.metrics import Metrics, counted, metrics
from distsnn.partition.traffic import Rates, traffic
from distsnn.simulation.edge_routing import file_summaries, read_edges

_HEADS = (
    *("strategy", "figures", "imbalance", "pairs source-rank", "spike-rank /s", "synapses cut"),
    *("contacts", "epoch ms", "exchanges /s", "MB/s a rank", "MB a rank"),
)


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        found = _found(options)
        if options.json:
            print(json.dumps([one.to_dict() for one in found], indent=2))
        else:
            print("\n".join(columns(_HEADS, [_row(one) for one in found])))
    return 0


def _found(options: Namespace) -> list[Metrics]:
    """Return what strategies come to; of a run first what was counted, and expected of it."""
    model = load_model(options.model, options.set)
    network = model.network
    run = StoreReader(options.model) if model.about["kind"] == "run" else None
    rates = load_rates(options.rates)
    if run is not None and options.rates is None:
        rates = _own_rates(run)
    table, reader = blocks(network), partial(read_edges, dt=network.dt)
    graph = traffic(network, table, rates, reader)
    found, made = [], []
    ranks = options.ranks
    if run is not None and run.attempts:
        own = _assignment(run)
        made.append(assign(table, own.ranks, own))
        wrote = run.attempts[-1].ranks
        measured = counted([one.counted for one in wrote], own.strategy, run.dt)
        if measured is not None:
            peaks = np.array([one.memory["peak_rss_bytes"] for one in wrote], np.float64)
            found.append(replace(measured, memory=peaks))
        ranks = ranks or own.ranks
    for name in options.strategy or (*STRATEGIES, "graph"):
        if name == "graph":
            strategy = Graph(rates, quality=options.quality)
            made.append(strategy.assign_graph(graph, network.dt, ranks or 2))
        else:
            made.append(assign(table, ranks or 2, name))
    scales = quanta(network, file_summaries(network))
    for one in made:
        layouts = [Layout(network, table, one, rank) for rank in range(one.ranks)]
        memory = np.array([expected_bytes(layout, scales) for layout in layouts])
        found.append(replace(metrics(network, graph, one, rates, reader), memory=memory))
    return found


def _own_rates(run: StoreReader) -> Rates:
    """Return the rates of a run's populations; where not all are recorded, that of all neurons."""
    rates = summarise(run.path)["rates"]
    if None not in rates.values():
        return {name: float(rate) for name, rate in rates.items()}
    counts = [one.counted for one in run.attempts[-1].ranks]
    if not all(one.get("steps") for one in counts):
        return 1.0
    seconds = 1e-3 * run.dt * counts[0]["steps"]
    return float(sum(one["spikes"] for one in counts) / run.n_neurons / seconds)


def _assignment(run: StoreReader) -> Assignment:
    """Return the assignment of a run's last attempt."""
    last = run.attempts[-1]
    strategy, owner = (last.assignment.get(name) for name in ("strategy", "owner"))
    if not isinstance(strategy, str) or not isinstance(owner, list):
        raise StoreError("does not tell which rank simulated what", path=str(run.path))
    try:
        return Assignment(len(last.ranks), np.array(owner, np.int32), strategy)
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"damaged: owner of blocks: {error}", path=str(run.path)) from error


def _row(one: Metrics) -> tuple[str, ...]:
    return (
        one.strategy,
        one.kind,
        f"{100.0 * one.imbalance:.1f} %",
        f"{one.connectivity:,.0f}",
        f"{one.traffic:,.0f}",
        f"{one.cut_synapses:,.0f}",
        f"{one.contacts}",
        f"{one.epoch * one.dt:g}" if one.epoch else "-",
        f"{one.exchanges:,.0f}",
        f"{1e-6 * one.bytes:.3g}",
        "-" if one.memory is None else f"{1e-6 * one.memory.max():,.0f}",
    )
