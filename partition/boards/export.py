"""Export of mappings: JSON for all boards, PACMAN's files, and SANA-FE's files for Loihi."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError, UsageError
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.mapping import BoardMapping
from distsnn.partition.boards.report import mapping_report
from distsnn.partition.boards.sections import MULTICAST, UNICAST
from distsnn.partition.boards.tables import Tables, uncompressed_tables

FORMAT = 1
# SpiNNaker's route word: bits 0 to 5 are links, core p is bit 6 + p.
_N_LINKS = 6


def to_json_data(
    mapping: BoardMapping, names: Sequence[str] = (), *, dt: float | None = None
) -> dict[str, Any]:
    """Return a mapping as data for JSON.

    Parameters
    ----------
    mapping : BoardMapping
        The mapping.
    names : sequence of str
        Names of the populations; by default their indices are used.
    dt : float, optional
        Time step of the network, ms, for the report.

    Returns
    -------
    dict
        ``nodes`` (coordinates and number of cores), ``ports`` (direction), ``slices`` (population,
        first neuron, number of neurons, physical core, key and mask), ``cores`` (physical cores),
        ``links`` (packets/s), ``tables`` (entries in order: key, mask, ports, cores) and
        ``report``. With unicast routers each slice has ``targets``: pairs of the index of a core
        and the number of neurons with a synapse on it.
    """
    machine, graph = mapping.machine, mapping.graph
    core_of_slice = mapping.physical_core[mapping.core_targets.core_of_slice]
    slices = []
    for slice_index in range(mapping.core_targets.core_of_slice.size):
        population = int(graph.population[slice_index])
        data: dict[str, Any] = {
            "population": names[population] if names else population,
            "first": int(graph.first_neuron[slice_index]),
            "neurons": int(graph.neurons[slice_index]),
            **_core_address(mapping, int(core_of_slice[slice_index])),
        }
        if mapping.keys is not None:
            data |= {
                "key": int(mapping.keys.key[slice_index]),
                "mask": int(mapping.keys.mask[slice_index]),
            }
        if mapping.tables is None:
            data["targets"] = _targets_of_slice(mapping, slice_index)
        slices.append(data)
    links = [
        {
            "x": int(machine.x[node]),
            "y": int(machine.y[node]),
            "port": machine.ports[port],
            "packets_per_s": float(mapping.link_load[node, port]),
        }
        for node, port in zip(*np.nonzero(mapping.link_load), strict=True)
    ]
    nodes = [
        {"x": int(x), "y": int(y), "cores": int(cores)}
        for x, y, cores in zip(machine.x, machine.y, machine.cores_of_node, strict=True)
    ]
    tables = None if mapping.tables is None else _routing_entries(mapping, mapping.tables)
    return {
        "format": FORMAT,
        "report": mapping_report(mapping, dt=dt),
        "nodes": nodes,
        "ports": {name: list(step) for name, step in mapping.board.topology.ports.items()},
        "slices": slices,
        "cores": [_core_address(mapping, int(core)) for core in mapping.physical_core],
        "links": links,
        "tables": tables,
    }


def save_data(data: Any, path: Path) -> None:
    """Write the data that another function of this module returned to a JSON file.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    try:
        path.write_text(json.dumps(data) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written ({error.strerror})", where=str(path)) from error


def save_pacman(mapping: BoardMapping, folder: Path) -> None:
    """Write ``placements.json`` and ``routing_tables.json`` as PACMAN reads them.

    Raises
    ------
    DescriptionError, UsageError
        If the board's routers have no such tables, or the files cannot be written.
    """
    tables = pacman_tables(mapping)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot be made ({error.strerror})", where=str(folder)) from error
    save_data(pacman_placements(mapping), folder / "placements.json")
    save_data(tables, folder / "routing_tables.json")


def check_pacman(board: Board) -> None:
    """Check that the routers of a board have SpiNNaker's routing tables.

    Raises
    ------
    DescriptionError
        If they do not.
    """
    if board.router.scheme.value != MULTICAST:
        raise DescriptionError("the board has no routing tables", where=board.name)
    if len(board.topology.ports) != _N_LINKS:
        raise DescriptionError("the routers of the board are not SpiNNaker's", where=board.name)


def check_sanafe(board: Board) -> None:
    """Check that SANA-FE can number the cores of a board: unicast, a mesh of tiles, one chip.

    Raises
    ------
    DescriptionError
        If it cannot.
    """
    if board.router.scheme.value == MULTICAST:
        raise DescriptionError(
            "the routers of the board copy packets, which SANA-FE does not support",
            where=board.name,
        )
    mesh = board.topology.kind == "mesh2d" and board.topology.node == "tile"
    if board.router.scheme.value != UNICAST or not mesh:
        raise DescriptionError(
            "SANA-FE does not number the cores of this board as on Loihi",
            where=board.name,
            allowed="loihi, or a board like it: unicast, a mesh of tiles",
        )
    columns, rows = board.topology.board_grid
    if columns * rows > 1:
        raise DescriptionError(
            "SANA-FE's model of Loihi has one chip",
            where=board.name,
            value=f"{columns}x{rows} boards",
            allowed="1x1",
        )


def pacman_placements(mapping: BoardMapping) -> list[dict[str, Any]]:
    """Return placements as PACMAN's ``placement_from_json`` reads them.

    Slice v is the vertex ``slice v``. Each core must have one slice.
    """
    return [
        {
            "vertex_label": f"slice {slice_index}",
            "x": address["x"],
            "y": address["y"],
            "p": address["core"],
        }
        for slice_index, core in enumerate(
            mapping.physical_core[mapping.core_targets.core_of_slice]
        )
        for address in [_core_address(mapping, int(core))]
    ]


def pacman_tables(mapping: BoardMapping, *, compressed: bool = True) -> list[dict[str, Any]]:
    """Return routing tables as PACMAN's ``multicast_routing_tables.from_json`` reads them.

    Parameters
    ----------
    mapping : BoardMapping
        A mapping onto a board of SpiNNaker.
    compressed : bool
        Whether to return the merged tables, instead of tables with an entry for each slice.

    Raises
    ------
    DescriptionError
        If the board's routers have no such tables.
    """
    check_pacman(mapping.board)
    assert mapping.tables is not None and mapping.routes is not None and mapping.keys is not None
    tables = mapping.tables
    default = np.zeros(tables.key.size, bool)
    if not compressed:
        tables = uncompressed_tables(mapping.routes, mapping.keys, mapping.machine.n_nodes)
        order = np.argsort(mapping.routes.node, kind="stable")
        default = mapping.routes.is_default_routed(mapping.machine)[order]
    return [
        {
            "x": int(mapping.machine.x[node]),
            "y": int(mapping.machine.y[node]),
            "entries": [
                {
                    "key": int(tables.key[entry]),
                    "mask": int(tables.mask[entry]),
                    "defaultable": bool(default[entry]),
                    "spinnaker_route": int(tables.links[entry])
                    | _core_bits(tables, entry) << _N_LINKS,
                }
                for entry in range(int(tables.start[node]), int(tables.start[node + 1]))
            ],
        }
        for node in range(mapping.machine.n_nodes)
    ]


def sanafe_mappings(mapping: BoardMapping, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the section ``mappings`` of SANA-FE's network files, where populations are groups.

    Parameters
    ----------
    mapping : BoardMapping
        A mapping onto a mesh of tiles, such as Loihi's.
    names : sequence of str
        Names of the populations.

    Returns
    -------
    list of dict
        One mapping per slice, such as ``{"E.0..31": [{"core": "5.1"}]}``: core 1 of tile 5. Tiles
        are counted along y first.

    Raises
    ------
    DescriptionError
        If the board is not of Loihi's kind.
    """
    check_sanafe(mapping.board)
    mappings = []
    for slice_index, core in enumerate(mapping.physical_core[mapping.core_targets.core_of_slice]):
        address, first = (
            _core_address(mapping, int(core)),
            int(mapping.graph.first_neuron[slice_index]),
        )
        last = first + int(mapping.graph.neurons[slice_index]) - 1
        tile = address["x"] * mapping.machine.height + address["y"]
        name = f"{names[mapping.graph.population[slice_index]]}.{first}..{last}"
        mappings.append({name: [{"core": f"{tile}.{address['core']}"}]})
    return mappings


def _core_address(mapping: BoardMapping, core: int) -> dict[str, int]:
    machine = mapping.machine
    node = int(machine.node_of_core[core])
    return {"x": int(machine.x[node]), "y": int(machine.y[node]), "core": int(machine.core[core])}


def _targets_of_slice(mapping: BoardMapping, slice_index: int) -> list[list[float]]:
    targets = mapping.core_targets
    pairs = slice(int(targets.start[slice_index]), int(targets.start[slice_index + 1]))
    neurons = targets.neurons[pairs]
    return [[int(core), float(n)] for core, n in zip(targets.target[pairs], neurons, strict=True)]


def _core_bits(tables: Tables, entry: int) -> int:
    return sum(int(word) << 64 * word_index for word_index, word in enumerate(tables.cores[entry]))


def _routing_entries(mapping: BoardMapping, tables: Tables) -> list[dict[str, Any]]:
    machine = mapping.machine
    routing_tables = []
    for node in range(machine.n_nodes):
        entries = []
        for entry in range(int(tables.start[node]), int(tables.start[node + 1])):
            cores, links = _core_bits(tables, entry), int(tables.links[entry])
            entries.append(
                {
                    "key": int(tables.key[entry]),
                    "mask": int(tables.mask[entry]),
                    "ports": [name for bit, name in enumerate(machine.ports) if links >> bit & 1],
                    "cores": [bit for bit in range(cores.bit_length()) if cores >> bit & 1],
                }
            )
        routing_tables.append(
            {"x": int(machine.x[node]), "y": int(machine.y[node]), "entries": entries}
        )
    return routing_tables
