"""``distsnn partition``: what ways of dealing a network out to ranks come to."""

import json
from argparse import Namespace
from functools import partial

from distsnn.cli.models import load_model
from distsnn.cli.rates import load_rates
from distsnn.cli.tables import columns
from distsnn.comm import Communicator
from distsnn.network.blocks import blocks
from distsnn.partition.assignment import STRATEGIES, assign
from distsnn.partition.graph import Graph
from distsnn.partition.metrics import Metrics, metrics
from distsnn.simulation.edge_routing import read_edges

_HEADS = (
    *("strategy", "imbalance", "pairs source-rank", "spike-rank /s", "synapses cut"),
    *("contacts", "epoch ms", "exchanges /s", "MB/s a rank"),
)


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        network = load_model(options.model, options.set).network
        rates = load_rates(options.rates)
        table = blocks(network)
        reader = partial(read_edges, dt=network.dt)
        found = []
        for name in options.strategy or (*STRATEGIES, "graph"):
            if name == "graph":
                strategy = Graph(rates, quality=options.quality)
                made = strategy.assign(network, table, options.ranks, reader)
            else:
                made = assign(table, options.ranks, name)
            found.append(metrics(network, table, made, rates, reader))
        if options.json:
            print(json.dumps([one.to_dict() for one in found], indent=2))
        else:
            print("\n".join(columns(_HEADS, [_row(one) for one in found])))
    return 0


def _row(one: Metrics) -> tuple[str, ...]:
    return (
        one.strategy,
        f"{100.0 * one.imbalance:.1f} %",
        f"{one.connectivity:,.0f}",
        f"{one.traffic:,.0f}",
        f"{one.cut_synapses:,.0f}",
        f"{one.contacts}",
        f"{one.epoch * one.dt:g}" if one.epoch else "-",
        f"{one.exchanges:,.0f}",
        f"{1e-6 * one.bytes:.3g}",
    )
