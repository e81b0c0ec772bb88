"""``distsnn partition``: metrics of strategies that assign a network to ranks."""

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
from distsnn.network.blocks import BlockTable, make_blocks
from distsnn.network.quanta import choose_quanta
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
        all_metrics = _all_metrics(options)
        if options.plot is not None:
            _plot(all_metrics, options.plot)
        if options.json:
            print(json.dumps([metrics.to_dict() for metrics in all_metrics], indent=2))
        else:
            lines = columns(_HEADS, [_row(metrics) for metrics in all_metrics])
            print("\n".join(map(printable, lines)))  # a stored strategy may be any text
    return 0


def _all_metrics(options: Namespace) -> list[AssignmentMetrics]:
    """Return metrics of strategies; for a run, its measured and expected metrics first."""
    model = load_model(options.model, options.set)
    network = model.network
    run = StoreReader(options.model) if model.about["kind"] == "run" else None
    rates = load_rates(options.rates)
    if run is not None and options.rates is None:
        rates = _own_rates(run)
    cost = load_cost(options.rates)
    strategy = Graph(rates, options.shares, quality=options.quality, cost=cost)
    table, reader = make_blocks(network), partial(read_edges, dt=network.dt)
    graph = build_traffic_graph(network, table, rates, reader)
    metrics, assignments = [], []
    ranks = options.ranks
    stored = None if run is None else stored_assignment(run)
    if run is not None and stored is not None:
        assignments.append(make_assignment(table, stored.ranks, stored))
        metrics += _run_metrics(run, stored, cost, network, table)
        ranks = ranks or stored.ranks
    if options.assignment is not None:
        assignments.append(load_assignment(options.assignment, network, ranks))
        ranks = assignments[-1].ranks
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
            assignments.append(strategy.assign_graph(graph, network, ranks))
        else:
            assignments.append(make_assignment(table, ranks, name))
    scales = choose_quanta(network, file_summaries(network))
    for assignment in assignments:
        layouts = [Layout(network, table, assignment, rank) for rank in range(assignment.ranks)]
        memory = np.array([expected_bytes(layout, scales) for layout in layouts])
        expected = expected_metrics(network, graph, assignment, rates, reader, cost)
        shares = (
            _shares(assignment)
            if assignment is stored
            else strategy.relative_speeds(assignment.ranks)
        )
        metrics.append(replace(expected, memory=memory, rank_speeds=shares))
    return metrics


def _run_metrics(
    run: StoreReader, assignment: Assignment, cost: CostModel, network: Network, table: BlockTable
) -> list[AssignmentMetrics]:
    rank_outputs = run.attempts[-1].ranks
    measured = measured_metrics(
        [rank_output.counted for rank_output in rank_outputs], assignment, run.dt, cost
    )
    if measured is None:
        return []
    peaks = [rank_output.memory.get("peak_rss_bytes") for rank_output in rank_outputs]
    has_peaks = all(isinstance(peak, int) for peak in peaks)
    memory = np.array(peaks, np.float64) if has_peaks else None
    # ranks have counted neurons, not of which model
    costs = [
        cost.models.get(population.model.name, cost.neuron) for population in network.populations
    ]
    extra = table.size * (np.array(costs)[table.population] - cost.neuron) * 1e3 / network.dt
    work = measured.cost + np.bincount(assignment.owner, extra, minlength=assignment.ranks)
    return [replace(measured, memory=memory, rank_speeds=_shares(assignment), cost=work)]


def _plot(all_metrics: list[AssignmentMetrics], path: str) -> None:
    # matplotlib is slow to load, and not needed otherwise
    with extra("analysis"):
        from distsnn.analysis.partition_plots import partition_plot

    try:
        partition_plot([metrics.to_dict() for metrics in all_metrics]).savefig(path, dpi=150)
    except (OSError, ValueError) as error:  # a folder that is not there, an unknown ending
        raise DescriptionError(f"cannot be written: {error}", where="--plot", value=path) from error


def _shares(assignment: Assignment) -> npt.NDArray[np.float64] | None:
    shares = assignment.settings.get("rank_speeds")
    return None if shares is None else np.array(shares, np.float64)


def _own_rates(run: StoreReader) -> Rates:
    """Return the rates of a run's populations, or of all neurons if some are not recorded."""
    rates = population_rates(run)
    recorded = {name: rate for name, rate in rates.items() if rate is not None}
    if recorded.keys() == rates.keys():
        return recorded
    counts = (
        [rank_counters.counted for rank_counters in run.attempts[-1].ranks] if run.attempts else []
    )
    if not counts or not all(rank_counters.get("steps") for rank_counters in counts):
        return 1.0
    seconds = 1e-3 * run.dt * counts[0]["steps"]
    return float(sum(rank_counters["spikes"] for rank_counters in counts) / run.n_neurons / seconds)


def _row(metrics: AssignmentMetrics) -> tuple[str, ...]:
    return (
        metrics.strategy,
        metrics.kind,
        f"{100.0 * metrics.imbalance:.1f} %",
        f"{metrics.source_rank_pairs:,.0f}",
        f"{metrics.remote_spike_rate:,.0f}",
        f"{metrics.cut_synapses:,.0f}",
        f"{metrics.connected_rank_pairs}",
        _sizes(metrics.groups),
        _levels(
            f"{metrics.epoch_steps * metrics.dt:g}" if metrics.epoch_steps else "-",
            f"{metrics.group_epoch_steps * metrics.dt:g}",
            metrics,
        ),
        _levels(f"{metrics.exchanges:,.0f}", f"{metrics.group_exchanges:,.0f}", metrics),
        f"{1e-6 * metrics.bytes:.3g}",
        "-" if metrics.memory is None else f"{1e-6 * metrics.memory.max():,.0f}",
    )


def _sizes(groups: tuple[int, ...]) -> str:
    if not groups:
        return "-"
    is_uniform = len(set(groups)) == 1
    return f"{len(groups)} of {groups[0]}" if is_uniform else "+".join(map(str, groups))


def _levels(global_text: str, group_text: str, metrics: AssignmentMetrics) -> str:
    """Return a value of all ranks, and the value of rank groups, if any."""
    return f"{global_text}, {group_text}" if metrics.groups else global_text
