"""Mapping of a network onto a neuromorphic board, as ``distsnn map`` does it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from distsnn.comm import Communicator, broadcast_from_rank0, collective_phase, world
from distsnn.errors import DescriptionError, UsageError, argument_errors, unknown_name_error
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
from distsnn.partition.boards.mapping import BoardMapping, check_objective, map_graph
from distsnn.partition.traffic import Rates, neuron_rates
from distsnn.public_api import public_function
from distsnn.simulation.edge_routing import read_edges
from distsnn.simulation.phase_timer import peak_rss_bytes
from distsnn.tools.board_runs import run_with_and_without_limits
from distsnn.tools.board_slices import check_neurons_per_core, is_unicast, slice_for_board
from distsnn.tools.profiles import Profile, read_profile
from distsnn.units import to_steps


@dataclass(frozen=True, eq=False)
class NetworkMapping:
    """A network's mapping onto a board, with its report.

    Parameters
    ----------
    mapping : BoardMapping
        Cores of the slices, routes, keys and routing tables.
    populations : tuple of str
        Names of the populations.
    neurons_per_core : int
        Maximum number of neurons of a core.
    limit : str or None
        The limit of a core that more neurons would exceed, such as ``in_axons``; None if none.
    data : dict
        The mapping as plain data, as from `distsnn.partition.boards.export.to_json_data`.
    """

    mapping: BoardMapping
    populations: tuple[str, ...]
    neurons_per_core: int
    limit: str | None
    data: dict[str, Any]

    @property
    def report(self) -> dict[str, Any]:
        """Cores, chips, hops, link loads (1/s), table entries, power (W), peak memory (bytes)."""
        report: dict[str, Any] = self.data["report"]
        return report

    @property
    def run(self) -> dict[str, Any] | None:
        """Rates and CVs with and without the board's limits, and packets; None without a run."""
        return self.data.get("run")

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping as data, which ``distsnn map --out`` writes as JSON."""
        return self.data


@public_function
def map_network(
    network: Network,
    board: Board | str | os.PathLike[str],
    *,
    board_grid: tuple[int, int] | None = None,
    rates: Profile | Rates | str | os.PathLike[str] | None = None,
    neurons_per_core: int | None = None,
    objective: str = "hops",
    simulate: float | None = None,
    connectivity: str | None = None,
    seed: int = 1,
    out: str | os.PathLike[str] | None = None,
    export_pacman: str | os.PathLike[str] | None = None,
    export_sanafe: str | os.PathLike[str] | None = None,
    plot: str | os.PathLike[str] | None = None,
    communicator: Communicator | None = None,
) -> NetworkMapping:
    """Map a network onto a neuromorphic board, and check the mapping. Collective.

    Rank 0 maps; all ranks simulate with `simulate`.

    Parameters
    ----------
    network : Network
        The network; its recordings are ignored.
    board : Board, str or PathLike
        A board, the name of a built-in board, or the path of a YAML file.
    board_grid : pair of int, optional
        Join columns x rows of boards.
    rates : Profile, mapping, float, str or PathLike, optional
        Rates, spikes/s, as in `compare_partitions`; by default those of `simulate`,
        else 1 spike/s.
    neurons_per_core : int, optional
        Maximum number of neurons per core; by default the limit of the board.
    objective : {"hops", "congestion", "energy"}
        Minimise rate x hops, also the maximum link load, or the energy of hops and chips.
    simulate : float, optional
        Simulate this biological time, ms, with and without the limits of the board, and map the
        limited network.
    connectivity : {"expected", "built"}, optional
        Connectivity of neurons and cores: expected from the description, or built with `seed`; by
        default built if a packet is sent to each core.
    seed : int
        Seed of the network, of the run and of the placement.
    out : str or PathLike, optional
        Write the mapping to this JSON file.
    export_pacman : str or PathLike, optional
        Write ``placements.json`` and ``routing_tables.json`` into this folder, as SpiNNaker's
        PACMAN reads them.
    export_sanafe : str or PathLike, optional
        Write the section ``mappings`` of SANA-FE's network files to this file.
    plot : str or PathLike, optional
        Plot chips and links: ``plot-chips.png`` and ``plot-links.png`` for ``plot.png``.
    communicator : Communicator, optional
        The ranks; by default all that the launcher started.

    Returns
    -------
    NetworkMapping
        The mapping, on every rank. `to_dict` returns what ``distsnn map --out`` writes.

    Raises
    ------
    DescriptionError, UsageError
        If an argument is not valid, the board cannot run the network, a limit is exceeded, the
        check finds a violation, or a file cannot be written.

    Examples
    --------
    >>> mapped = map_network(network, "spin5", rates={"E": 4.2})  # doctest: +SKIP
    >>> mapped.report["chips"], mapped.report["power_W"]["total"]  # doctest: +SKIP
    """
    communicator = communicator or world()
    network = replace(network, recordings=())  # need not be on the board's grid
    constrained = None
    with collective_phase(communicator, "checking the settings"):
        with argument_errors("board"):
            board = board if isinstance(board, Board) else load_board(os.fspath(board))
        if board_grid is not None:
            board = board.tiled(*board_grid)
        if export_pacman is not None:
            with argument_errors("export_pacman"):
                check_pacman(board)
        if export_sanafe is not None:
            with argument_errors("export_sanafe"):
                check_sanafe(board)
        with argument_errors("rates"):
            given_rates = read_profile(rates).rates
            neuron_rates(network, given_rates)
        with argument_errors("board"):
            check_network(network, board)
        check_objective(board, objective)
        check_neurons_per_core(board, neurons_per_core)
        if connectivity not in (None, "expected", "built"):
            raise unknown_name_error(
                "connectivity", connectivity, ["expected", "built"], where="connectivity"
            )
        if simulate is not None:
            if connectivity == "expected" and is_unicast(board):
                raise DescriptionError(
                    "the packets of a simulation can be counted with built connectivity only",
                    where="connectivity",
                    value="expected",
                    allowed="built",
                )
            constrained = apply_board_limits(network, board, partial(read_edges, dt=network.dt))
            for simulated in (network, constrained.network):
                if to_steps(simulate, simulated.dt, where="simulate", error=UsageError) < 1:
                    raise UsageError("nothing would run", where="simulate", value=simulate)
    with ExitStack() as stack:
        comparison = None
        if simulate is not None and constrained is not None:
            comparison = stack.enter_context(
                run_with_and_without_limits(
                    network, constrained, simulate, seed=seed, communicator=communicator
                )
            )
            network = constrained.network

        def map_on_rank0() -> NetworkMapping:
            sliced = slice_for_board(
                network,
                board,
                comparison.rates() if comparison is not None and rates is None else given_rates,
                neurons_per_core=neurons_per_core,
                connectivity=connectivity,
                seed=seed,
            )
            mapping = map_graph(
                sliced.graph,
                board,
                models=[population.model.name for population in network.populations],
                neurons=sliced.neurons_per_core,
                objective=objective,
                seed=seed,
            )
            names = tuple(population.name for population in network.populations)
            data = to_json_data(mapping, names, dt=network.dt)
            data["report"]["peak_rss_bytes"] = peak_rss_bytes()
            if comparison is not None:
                data["run"] = comparison.to_dict(mapping, data["report"])
            mapped = NetworkMapping(mapping, names, sliced.neurons_per_core, sliced.limit, data)
            _write_files(mapped, out, export_pacman, export_sanafe, plot)
            return mapped

        return broadcast_from_rank0(communicator, map_on_rank0)


def _write_files(
    mapped: NetworkMapping,
    out: str | os.PathLike[str] | None,
    pacman: str | os.PathLike[str] | None,
    sanafe: str | os.PathLike[str] | None,
    plot: str | os.PathLike[str] | None,
) -> None:
    if out is not None:
        with argument_errors("out"):
            save_data(mapped.data, Path(out))
    if pacman is not None:
        with argument_errors("export_pacman"):
            save_pacman(mapped.mapping, Path(pacman))
    if sanafe is not None:
        mappings = sanafe_mappings(mapped.mapping, mapped.populations)
        with argument_errors("export_sanafe"):
            save_data({"mappings": mappings}, Path(sanafe))
    if plot is not None:
        _plot(mapped.data, Path(plot))


def _plot(data: dict[str, Any], path: Path) -> None:
    with extra("analysis"):
        from distsnn.analysis.board_plots import chip_map, link_map

    for name, draw in (("chips", chip_map), ("links", link_map)):
        target = path.with_name(f"{path.stem}-{name}{path.suffix or '.png'}")
        try:
            draw(data).savefig(target, dpi=150)
        except (OSError, ValueError) as error:  # a folder that is not there, an unknown ending
            raise UsageError(
                f"cannot be written: {error}", where="plot", value=str(target)
            ) from error
