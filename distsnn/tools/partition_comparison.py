"""Comparison of the partition strategies of a network, or of a run's partition with others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import LocalLayout
from distsnn.engine.memory_estimate import estimate_memory_bytes
from distsnn.errors import DescriptionError, UsageError, argument_errors
from distsnn.extras import extra
from distsnn.io.reader import StoreReader
from distsnn.io.summary import population_rates
from distsnn.network import Network
from distsnn.network.blocks import BlockTable, make_blocks
from distsnn.network.checks import as_integer
from distsnn.network.quanta import choose_quanta
from distsnn.partition.assignment import STRATEGY_NAMES, Assignment, check_strategy, make_assignment
from distsnn.partition.graph import CostModel, Graph
from distsnn.partition.metrics import AssignmentMetrics, expected_metrics, measured_metrics
from distsnn.partition.traffic import Rates, build_traffic_graph
from distsnn.public_api import public_function
from distsnn.simulation.edge_routing import file_summaries, read_edges
from distsnn.simulation.job import stored_assignment
from distsnn.tools.assignments import load_assignment
from distsnn.tools.profiles import Profile, read_profile

# Each rank is looked at alone, which takes some 40 us.
_MOST_RANKS = 65_536


@public_function
def compare_partitions(
    network: Network | str | os.PathLike[str],
    *,
    ranks: int | None = None,
    strategy: str | Sequence[str] | None = None,
    assignment: Assignment | str | os.PathLike[str] | None = None,
    rates: Profile | Rates | str | os.PathLike[str] | None = None,
    rank_speeds: Sequence[float] | None = None,
    quality: str = "fast",
    plot: str | os.PathLike[str] | None = None,
) -> list[AssignmentMetrics]:
    """Compare strategies that assign a network to ranks, without building the network.

    Parameters
    ----------
    network : Network, str or PathLike
        A network, or the store of a run, whose measured and expected values come first.
    ranks : int, optional
        Number of MPI ranks, at most 65,536; default: as in the run or in `assignment`, else 2.
    strategy : str or sequence of str, optional
        Strategies to compare: "round_robin", "contiguous", "population" or "graph"; by default all.
    assignment : Assignment, str or PathLike, optional
        An assignment to compare with them, or the path of its JSON file.
    rates : Profile, mapping, float, str or PathLike, optional
        Rates, spikes/s, and costs: what `profile_network` returned; one rate or an array of rates
        for each population; one rate of all neurons; the path of a file that contains a profile or
        rates; or the store of a run. By default the rates of the run, else 1 spike/s.
    rank_speeds : sequence of float, optional
        Relative speed of each rank, for "graph"; by default all are equally fast.
    quality : {"fast", "best"}
        Quality of "graph"; "best" needs mtkahypar.
    plot : str or PathLike, optional
        Write a plot of the traffic between ranks, their load, and delays to this file.

    Returns
    -------
    list of AssignmentMetrics
        The metrics of each assignment. Their `to_dict` returns what ``distsnn partition --json``
        prints.

    Raises
    ------
    DescriptionError, UsageError
        If an argument is not valid, or the plot cannot be written.
    StoreError
        If the run cannot be read.

    Examples
    --------
    >>> for metrics in compare_partitions(network, ranks=8):  # doctest: +SKIP
    ...     print(metrics.strategy, metrics.imbalance, metrics.remote_spike_rate)
    """
    run = None
    if not isinstance(network, Network):
        run = StoreReader(network)
        network = Network.from_dict(*run.network())
    ranks = None if ranks is None else as_integer(ranks, where="ranks", low=1)
    names = [strategy] if isinstance(strategy, str) else strategy or STRATEGY_NAMES
    for name in names:
        check_strategy(name, where="strategy")
    with argument_errors("rates"):
        profile = read_profile(rates)
        if run is not None and rates is None:
            profile = Profile(_run_rates(run))
        cost = profile.cost_model
    graph_strategy = Graph(profile.rates, rank_speeds, quality=quality, cost=cost)
    table, reader = make_blocks(network), partial(read_edges, dt=network.dt)
    graph = build_traffic_graph(network, table, profile.rates, reader)
    with argument_errors("rates"):
        cost.of_slices(graph, network)
    all_metrics, assignments = [], []
    stored = None if run is None else stored_assignment(run)
    if run is not None and stored is not None:
        assignments.append(make_assignment(table, stored.ranks, stored))
        all_metrics += _run_metrics(run, stored, cost, network, table)
        ranks = ranks or stored.ranks
    if assignment is not None:
        if not isinstance(assignment, Assignment):
            assignment = load_assignment(assignment, network, ranks)
        ranks = ranks or assignment.ranks
        assignments.append(make_assignment(table, ranks, assignment))
    ranks = ranks or 2
    if ranks > _MOST_RANKS:
        raise DescriptionError(
            "too many ranks to compare strategies for",
            where="ranks" if assignment is None else "assignment",
            value=ranks,
            allowed=f"at most {_MOST_RANKS:,}",
        )
    for name in names:
        if name == "graph":
            assignments.append(graph_strategy.assign_graph(graph, network, ranks))
        else:
            assignments.append(make_assignment(table, ranks, name))
    scales = choose_quanta(network, file_summaries(network))
    for compared in assignments:
        layouts = [LocalLayout(network, table, compared, rank) for rank in range(compared.ranks)]
        memory = np.array([estimate_memory_bytes(layout, scales) for layout in layouts])
        expected = expected_metrics(network, graph, compared, profile.rates, reader, cost)
        speeds = (
            _rank_speeds(compared)
            if compared is stored
            else graph_strategy.relative_speeds(compared.ranks)
        )
        all_metrics.append(replace(expected, memory=memory, rank_speeds=speeds))
    if plot is not None:
        _plot(all_metrics, plot)
    return all_metrics


def _run_metrics(
    run: StoreReader, assignment: Assignment, cost: CostModel, network: Network, table: BlockTable
) -> list[AssignmentMetrics]:
    rank_outputs = run.attempts[-1].ranks
    measured = measured_metrics(
        [rank_output.counters for rank_output in rank_outputs], assignment, run.dt, cost
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
    extra_cost = table.size * (np.array(costs)[table.population] - cost.neuron) * 1e3 / network.dt
    work = measured.cost + np.bincount(assignment.owner, extra_cost, minlength=assignment.ranks)
    return [replace(measured, memory=memory, rank_speeds=_rank_speeds(assignment), cost=work)]


def _rank_speeds(assignment: Assignment) -> npt.NDArray[np.float64] | None:
    speeds = assignment.settings.get("rank_speeds")
    return None if speeds is None else np.array(speeds, np.float64)


def _run_rates(run: StoreReader) -> Rates:
    """Return the rates of a run's populations, or of all neurons if some are not recorded."""
    rates = population_rates(run)
    recorded = {name: rate for name, rate in rates.items() if rate is not None}
    if recorded.keys() == rates.keys():
        return recorded
    counts = (
        [rank_counters.counters for rank_counters in run.attempts[-1].ranks] if run.attempts else []
    )
    if not counts or not all(rank_counters.get("steps") for rank_counters in counts):
        return 1.0
    seconds = 1e-3 * run.dt * counts[0]["steps"]
    spikes = sum(rank_counters["own_spikes"] for rank_counters in counts)
    return float(spikes / run.n_neurons / seconds)


def _plot(all_metrics: list[AssignmentMetrics], path: str | os.PathLike[str]) -> None:
    # matplotlib is slow to load, and not needed otherwise
    with extra("analysis"):
        from distsnn.analysis.partition_plots import partition_plot

    try:
        partition_plot([metrics.to_dict() for metrics in all_metrics]).savefig(path, dpi=150)
    except (OSError, ValueError) as error:  # a folder that is not there, an unknown ending
        raise UsageError(
            f"cannot be written: {error}", where="plot", value=os.fspath(path)
        ) from error
