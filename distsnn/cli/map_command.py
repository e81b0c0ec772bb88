"""``distsnn map``: a network onto a neuromorphic board."""

import re
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from distsnn.cli.map_run import BothRuns, both_runs, effect_lines
from distsnn.cli.map_slices import check_neurons_per_core, fitted, sends_each
from distsnn.cli.models import load_model
from distsnn.cli.option_errors import option_errors
from distsnn.comm import Communicator, collective_phase
from distsnn.errors import DescriptionError
from distsnn.extras import extra
from distsnn.network import Network
from distsnn.partition.boards.board import Board, load_board
from distsnn.partition.boards.board_limits import apply_board_limits, check_network
from distsnn.partition.boards.export import (
    check_pacman,
    check_sanafe,
    sanafe_mappings,
    save_data,
    save_pacman,
    to_json_data,
)
from distsnn.partition.boards.mapping import check_objective, map_graph
from distsnn.partition.boards.resources import SlicedNetwork
from distsnn.partition.traffic import Rates, neuron_rates
from distsnn.simulation.clock import peak_rss_bytes
from distsnn.simulation.edge_routing import read_edges
from distsnn.tools.profiles import read_profile
from distsnn.units import counted


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command: mapping on the first rank, `--run` on all of them. Collective."""
    with collective_phase(communicator, "making the network"):
        board = _board(options.board, options.boards)
        # what it would record is not asked for, and need not be on the board's grid
        network = replace(load_model(options.model, options.set).network, recordings=())
        # before anything is run or written
        if options.pacman is not None:
            check_pacman(board)
        if options.sanafe is not None:
            check_sanafe(board)
        with option_errors(options, "rates"):
            rates = read_profile(options.rates).rates
        neuron_rates(network, rates)
        check_network(network, board)
        check_objective(board, options.optimise)
        check_neurons_per_core(board, options.neurons_per_core)
        if options.run is not None and options.contacts == "expected" and sends_each(board):
            raise DescriptionError(
                "packets of a run can only be counted with the synapses that it has",
                where="--contacts",
                value="expected",
                allowed="counted, with --run",
            )
        constrained = None
        if options.run is not None:
            constrained = apply_board_limits(network, board, partial(read_edges, dt=network.dt))
    if constrained is None:
        with collective_phase(communicator, "mapping"):
            if communicator.rank == 0:
                _map(network, board, options, rates)
        return 0
    with (
        both_runs(network, constrained, options, communicator) as runs,
        collective_phase(communicator, "mapping"),
    ):
        if communicator.rank == 0:
            if options.rates is None:
                rates = runs.rates()
            _map(constrained.network, board, options, rates, runs)
    return 0


def _map(
    network: Network, board: Board, options: Namespace, rates: Rates, runs: BothRuns | None = None
) -> None:
    seed = 1 if options.seed is None else options.seed
    sliced = fitted(network, board, options, rates, seed)
    models = [population.model.name for population in network.populations]
    how: dict[str, Any] = {"objective": options.optimise, "seed": seed, "models": models}
    mapping = map_graph(sliced.graph, board, neurons=sliced.neurons_per_core, **how)
    names = [population.name for population in network.populations]
    data = to_json_data(mapping, names, dt=network.dt)
    data["report"]["peak_rss_bytes"] = peak_rss_bytes()
    lines = _lines(data["report"], sliced)
    if runs is not None:
        data["run"] = runs.effect(mapping, data["report"])
        lines += effect_lines(data["run"], board.name)
    if options.out is not None:
        save_data(data, Path(options.out))
    if options.pacman is not None:
        save_pacman(mapping, Path(options.pacman))
    if options.sanafe is not None:
        save_data({"mappings": sanafe_mappings(mapping, names)}, Path(options.sanafe))
    if options.plot is not None:
        _plot(data, Path(options.plot))
    print("\n".join(lines))


def _board(name: str, boards: str | None) -> Board:
    board = load_board(name)
    if boards is None:
        return board
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", boards)
    if match is None:
        raise DescriptionError(
            "is not a rectangle of boards", where="--boards", value=boards, allowed="such as 3x3"
        )
    return board.tiled(int(match[1]), int(match[2]))


def _plot(data: dict[str, Any], path: Path) -> None:
    with extra("analysis"):
        from distsnn.analysis.board_plots import chip_map, link_map

    for name, draw in (("chips", chip_map), ("links", link_map)):
        draw(data).savefig(path.with_name(f"{path.stem}-{name}{path.suffix or '.png'}"), dpi=150)


def _lines(report: dict[str, Any], sliced: SlicedNetwork) -> list[str]:
    lines = [
        f"{report['neurons']:,} neurons in {report['slices']:,} slices of up to "
        f"{sliced.neurons_per_core} on {report['cores']:,} of {report['cores_available']:,} cores, "
        f"{counted(report['chips'], 'chip')}",
        f"rate-weighted hops {report['rate_weighted_hops']:.4g}/s, "
        f"{100.0 * report['relative_gap']:.0f} % "
        "of them above the lower bound; packets cross "
        f"{report['link_crossings_per_s']:.4g} links/s, the largest load "
        f"{report['max_link_load']:.4g}/s",
    ]
    if sliced.limit is not None:
        lines.append(f"with more neurons a core would exceed its limit of {sliced.limit}")
    for name, axons in report["axons"].items():
        lines.append(
            f"{name}: at most {axons['max']:,.0f} of {axons['allowed']:,.0f} a core "
            f"(neurons with a synapse there: {report['connectivity']})"
        )
    if "table_entries" in report:
        entries = report["table_entries"]
        lines.append(
            f"router entries: {entries['uncompressed']:,}, without those that go straight on "
            f"{entries['without_default']:,}, merged {entries['compressed']:,}; "
            f"the largest table {entries['max_per_node']:,}"
        )
    power = report["power_W"]
    terms = [f"{name} {value:.3g}" for name, value in power.items() if value is not None]
    lines.append(f"power, W: {', '.join(terms) or 'no term is known'}")
    missing = sorted(
        {text.split(":", 1)[0] for text in report["unknown"]} | set(report["unknown_limits"])
    )
    if missing:
        lines.append(f"not computed, because the board file has no value for: {', '.join(missing)}")
    scope = (
        "the packets of every slice were followed"
        if "table_entries" in report
        else "all limits were checked"
    )
    memory = report["peak_rss_bytes"] / 2**20
    lines.append(f"{scope}: nothing is wrong ({report['seconds']:.1f} s, {memory:,.0f} MiB)")
    return lines
