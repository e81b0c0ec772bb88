"""Mappings as plain data: JSON for all boards, what PACMAN reads, and SANA-FE for Loihi."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError
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
    mapping : Mapping
        The mapping.
    names : sequence of str
        Names of the populations; their indices stand in their place if there are none.
    dt : float, optional
        Step of the network, ms, for the report.

    Returns
    -------
    dict
        ``nodes`` (place and number of cores), ``ports`` (the step that each takes), ``slices``
        (population, first neuron, number, place, key and mask), ``links`` (packets/s), ``tables``
        (entries as key, mask, ports, cores, in their order) and ``report``. Where a packet is sent
        to each core, ``cores`` (places) and, of each slice, ``targets``: pairs of a core's index
        and the number of neurons that have a synapse there.
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
        for x, y, cores in zip(machine.x, machine.y, machine.cores, strict=True)
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
    """Write what one of the other functions has returned to a JSON file.

    Raises
    ------
    DescriptionError
        If the file cannot be written.
    """
    try:
        path.write_text(json.dumps(data) + "\n", encoding="utf-8")
    except OSError as error:
        raise DescriptionError(f"cannot be written ({error.strerror})", where=str(path)) from error


def save_pacman(mapping: BoardMapping, folder: Path) -> None:
    """Write ``placements.json`` and ``routing_tables.json`` as PACMAN reads them.

    Raises
    ------
    DescriptionError
        If the board's routers have no such tables, or the files cannot be written.
    """
    tables = pacman_tables(mapping)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DescriptionError(f"cannot be made ({error.strerror})", where=str(folder)) from error
    save_data(pacman_placements(mapping), folder / "placements.json")
    save_data(tables, folder / "routing_tables.json")


def check_pacman(board: Board) -> None:
    """Refuse a board whose routers have no tables of keys and masks as SpiNNaker's.

    Raises
    ------
    DescriptionError
        If it is one.
    """
    if board.router.scheme.value != MULTICAST:
        raise DescriptionError("has no tables of keys and masks", where=board.name)
    if len(board.topology.ports) != _N_LINKS:
        raise DescriptionError("its routers are not SpiNNaker's", where=board.name)


def check_sanafe(board: Board) -> None:
    """Refuse a board whose cores SANA-FE does not count as it does Loihi's, by tiles of one mesh.

    Raises
    ------
    DescriptionError
        If it is one, has several chips, or its routers copy packets, which SANA-FE's do not.
    """
    if board.router.scheme.value == MULTICAST:
        raise DescriptionError("its routers copy packets", where=board.name)
    mesh = board.topology.kind == "mesh2d" and board.topology.node == "tile"
    if board.router.scheme.value != UNICAST or not mesh:
        raise DescriptionError(
            "SANA-FE numbers its cores in another way",
            where=board.name,
            allowed="loihi, or a board like it: unicast, a mesh of tiles",
        )
    columns, rows = board.topology.board_grid
    if columns * rows > 1:
        raise DescriptionError(
            "SANA-FE's Loihi is one chip, and has no tiles of others",
            where=board.name,
            value=f"{columns}x{rows} boards",
            allowed="1x1",
        )


def pacman_placements(mapping: BoardMapping) -> list[dict[str, Any]]:
    """Return placements as PACMAN's ``placement_from_json`` reads them.

    Slice v is the vertex ``slice v``; there must be one slice a core.
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
    mapping : Mapping
        A mapping onto a board of SpiNNaker.
    compressed : bool
        Whether to return the merged tables, instead of one entry for each slice that passes.

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
    mapping : Mapping
        A mapping onto a mesh whose nodes SANA-FE calls tiles, as Loihi's.
    names : sequence of str
        Names of the populations.

    Returns
    -------
    list of dict
        One a slice, such as ``{"E.0..31": [{"core": "5.1"}]}``: core 1 of tile 5, counted along y
        first.

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
