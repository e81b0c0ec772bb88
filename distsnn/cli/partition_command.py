"""``distsnn partition``: what ways of dealing a network out to ranks come to, or came to."""

import json
from argparse import Namespace
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from distsnn.cli.assignments import load_assignment
from distsnn.cli.models import load_model
from distsnn.cli.rates import load_cost, load_rates
from distsnn.cli.tables import columns
from distsnn.comm import Communicator
from distsnn.engine.footprint import expected_bytes
from distsnn.engine.layout import Layout
from distsnn.errors import DescriptionError, printable
from distsnn.extras import extra
from distsnn.io.reader import StoreReader
from distsnn.io.summary import population_rates
from distsnn.network import Network
from distsnn.network.blocks import BlockTable, blocks
from distsnn.network.quanta import quanta
from distsnn.partition.assignment import STRATEGIES, Assignment, make_assignment
from distsnn.partition.graph import CostModel, Graph
from distsnn.partition.metrics import AssignmentMetrics, expected_metrics, measured_metrics
from distsnn.partition.traffic import Rates, build_traffic_graph
from distsnn.simulation.edge_routing import file_summaries, read_edges
from distsnn.simulation.kept_partition import stored_assignment

# Each rank is looked at alone, which takes some 40 us.
_MOST_RANKS = 65_536
_HEADS = (
    *("strategy", "figures", "imbalance", "pairs source-rank", "spike-rank /s", "synapses cut"),
    *("contacts", "groups", "epoch ms", "exchanges /s", "MB/s a rank", "MB a rank"),
)


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        found = _found(options)
        if options.plot is not None:
            _plot(found, options.plot)
        if options.json:
            print(json.dumps([one.to_dict() for one in found], indent=2))
        else:
            lines = columns(_HEADS, [_row(one) for one in found])
            print("\n".join(map(printable, lines)))  # a stored strategy may be any text
    return 0


def _found(options: Namespace) -> list[AssignmentMetrics]:
    """Return what strategies come to; of a run first what was counted, and expected of it."""
    model = load_model(options.model, options.set)
    network = model.network
    run = StoreReader(options.model) if model.about["kind"] == "run" else None
    rates = load_rates(options.rates)
    if run is not None and options.rates is None:
        rates = _own_rates(run)
    cost = load_cost(options.rates)
    strategy = Graph(rates, options.shares, quality=options.quality, cost=cost)
    table, reader = blocks(network), partial(read_edges, dt=network.dt)
    graph = build_traffic_graph(network, table, rates, reader)
    found, made = [], []
    ranks = options.ranks
    own = None if run is None else stored_assignment(run)
    if run is not None and own is not None:
        made.append(make_assignment(table, own.ranks, own))
        found += _measured(run, own, cost, network, table)
        ranks = ranks or own.ranks
    if options.assignment is not None:
        made.append(load_assignment(options.assignment, network, ranks))
        ranks = made[-1].ranks
    ranks = ranks or 2
    if ranks > _MOST_RANKS:
        raise DescriptionError(
            "too many ranks to compare strategies for",
            where="--ranks" if options.assignment is None else "--assignment",
            value=ranks,
            allowed=f"at most {_MOST_RANKS:,}",
        )
    for name in options.strategy or (*STRATEGIES, "graph"):
        if name == "graph":
            made.append(strategy.assign_graph(graph, network, ranks))
        else:
            made.append(make_assignment(table, ranks, name))
    scales = quanta(network, file_summaries(network))
    for one in made:
        layouts = [Layout(network, table, one, rank) for rank in range(one.ranks)]
        memory = np.array([expected_bytes(layout, scales) for layout in layouts])
        expected = expected_metrics(network, graph, one, rates, reader, cost)
        shares = _shares(one) if one is own else strategy.relative_speeds(one.ranks)
        found.append(replace(expected, memory=memory, rank_speeds=shares))
    return found


def _measured(
    run: StoreReader, own: Assignment, cost: CostModel, network: Network, table: BlockTable
) -> list[AssignmentMetrics]:
    wrote = run.attempts[-1].ranks
    measured = measured_metrics([one.counted for one in wrote], own, run.dt, cost)
    if measured is None:
        return []
    peaks = [one.memory.get("peak_rss_bytes") for one in wrote]
    known = all(isinstance(one, int) for one in peaks)
    memory = np.array(peaks, np.float64) if known else None
    # ranks have counted neurons, not of which model
    each = [cost.models.get(one.model.name, cost.neuron) for one in network.populations]
    more = table.size * (np.array(each)[table.population] - cost.neuron) * 1e3 / network.dt
    work = measured.cost + np.bincount(own.owner, more, minlength=own.ranks)
    return [replace(measured, memory=memory, rank_speeds=_shares(own), cost=work)]


def _plot(found: list[AssignmentMetrics], path: str) -> None:
    # matplotlib is slow to load, and not needed otherwise
    with extra("analysis"):
        from distsnn.analysis.partition_plots import partition_plot

    try:
        partition_plot([one.to_dict() for one in found]).savefig(path, dpi=150)
    except (OSError, ValueError) as error:  # a folder that is not there, an unknown ending
        raise DescriptionError(f"cannot be written: {error}", where="--plot", value=path) from error


def _shares(made: Assignment) -> npt.NDArray[np.float64] | None:
    shares = made.settings.get("rank_speeds")
    return None if shares is None else np.array(shares, np.float64)


def _own_rates(run: StoreReader) -> Rates:
    """Return the rates of a run's populations; where not all are recorded, that of all neurons."""
    rates = population_rates(run)
    known = {name: rate for name, rate in rates.items() if rate is not None}
    if known.keys() == rates.keys():
        return known
    counts = [one.counted for one in run.attempts[-1].ranks] if run.attempts else []
    if not counts or not all(one.get("steps") for one in counts):
        return 1.0
    seconds = 1e-3 * run.dt * counts[0]["steps"]
    return float(sum(one["spikes"] for one in counts) / run.n_neurons / seconds)


def _row(one: AssignmentMetrics) -> tuple[str, ...]:
    return (
        one.strategy,
        one.kind,
        f"{100.0 * one.imbalance:.1f} %",
        f"{one.source_rank_pairs:,.0f}",
        f"{one.remote_spike_rate:,.0f}",
        f"{one.cut_synapses:,.0f}",
        f"{one.connected_rank_pairs}",
        _sizes(one.groups),
        _levels(
            f"{one.epoch_steps * one.dt:g}" if one.epoch_steps else "-",
            f"{one.group_epoch_steps * one.dt:g}",
            one,
        ),
        _levels(f"{one.exchanges:,.0f}", f"{one.group_exchanges:,.0f}", one),
        f"{1e-6 * one.bytes:.3g}",
        "-" if one.memory is None else f"{1e-6 * one.memory.max():,.0f}",
    )


def _sizes(groups: tuple[int, ...]) -> str:
    if not groups:
        return "-"
    alike = len(set(groups)) == 1
    return f"{len(groups)} of {groups[0]}" if alike else "+".join(map(str, groups))


def _levels(of_all: str, inside: str, one: AssignmentMetrics) -> str:
    """Return a figure of all ranks, and that of each group, where there are groups."""
    return f"{of_all}, {inside}" if one.groups else of_all
