"""Mappings as plain data: JSON for all boards, what PACMAN reads, and SANA-FE for Loihi."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.mapping import Mapping
from distsnn.partition.boards.report import report
from distsnn.partition.boards.sections import MULTICAST, UNICAST
from distsnn.partition.boards.tables import Tables, plain_tables

FORMAT = 1
# SpiNNaker's route word: bits 0 to 5 are links, core p is bit 6 + p.
_LINKS = 6


def as_data(
    mapping: Mapping, names: Sequence[str] = (), *, dt: float | None = None
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
        to each core, ``cores`` (places) and, of each slice, ``reaches``: pairs of a core's index
        and the number of neurons that have a synapse there.
    """
    made, graph = mapping.machine, mapping.graph
    places = mapping.places[mapping.to.core]
    slices = []
    for one in range(mapping.to.core.size):
        population = int(graph.population[one])
        data: dict[str, Any] = {
            "population": names[population] if names else population,
            "first": int(graph.first_neuron[one]),
            "neurons": int(graph.neurons[one]),
            **_place(mapping, int(places[one])),
        }
        if mapping.keys is not None:
            data |= {"key": int(mapping.keys.key[one]), "mask": int(mapping.keys.mask[one])}
        if mapping.tables is None:
            data["reaches"] = _reached(mapping, one)
        slices.append(data)
    links = [
        {
            "x": int(made.x[node]),
            "y": int(made.y[node]),
            "port": made.ports[port],
            "packets_per_s": float(mapping.load[node, port]),
        }
        for node, port in zip(*np.nonzero(mapping.load), strict=True)
    ]
    nodes = [
        {"x": int(x), "y": int(y), "cores": int(cores)}
        for x, y, cores in zip(made.x, made.y, made.cores, strict=True)
    ]
    tables = None if mapping.tables is None else _entries(mapping, mapping.tables)
    return {
        "format": FORMAT,
        "report": report(mapping, dt=dt),
        "nodes": nodes,
        "ports": {name: list(step) for name, step in mapping.board.topology.ports.items()},
        "slices": slices,
        "cores": [_place(mapping, int(place)) for place in mapping.places],
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


def save_pacman(mapping: Mapping, folder: Path) -> None:
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
    if len(board.topology.ports) != _LINKS:
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
    columns, rows = board.topology.boards
    if columns * rows > 1:
        raise DescriptionError(
            "SANA-FE's Loihi is one chip, and has no tiles of others",
            where=board.name,
            value=f"{columns}x{rows} boards",
            allowed="1x1",
        )


def pacman_placements(mapping: Mapping) -> list[dict[str, Any]]:
    """Return placements as PACMAN's ``placement_from_json`` reads them.

    Slice v is the vertex ``slice v``; there must be one slice a core.
    """
    return [
        {"vertex_label": f"slice {one}", "x": at["x"], "y": at["y"], "p": at["core"]}
        for one, place in enumerate(mapping.places[mapping.to.core])
        for at in [_place(mapping, int(place))]
    ]


def pacman_tables(mapping: Mapping, *, compressed: bool = True) -> list[dict[str, Any]]:
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
        tables = plain_tables(mapping.routes, mapping.keys, mapping.machine.n_nodes)
        order = np.argsort(mapping.routes.node, kind="stable")
        default = mapping.routes.straight_on(mapping.machine)[order]
    return [
        {
            "x": int(mapping.machine.x[node]),
            "y": int(mapping.machine.y[node]),
            "entries": [
                {
                    "key": int(tables.key[one]),
                    "mask": int(tables.mask[one]),
                    "defaultable": bool(default[one]),
                    "spinnaker_route": int(tables.links[one]) | _cores(tables, one) << _LINKS,
                }
                for one in range(int(tables.start[node]), int(tables.start[node + 1]))
            ],
        }
        for node in range(mapping.machine.n_nodes)
    ]


def sanafe_mappings(mapping: Mapping, names: Sequence[str]) -> list[dict[str, Any]]:
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
    found = []
    for one, place in enumerate(mapping.places[mapping.to.core]):
        at, first = _place(mapping, int(place)), int(mapping.graph.first_neuron[one])
        last = first + int(mapping.graph.neurons[one]) - 1
        tile = at["x"] * mapping.machine.height + at["y"]
        name = f"{names[mapping.graph.population[one]]}.{first}..{last}"
        found.append({name: [{"core": f"{tile}.{at['core']}"}]})
    return found


def _place(mapping: Mapping, place: int) -> dict[str, int]:
    made = mapping.machine
    node = int(made.node_of_core[place])
    return {"x": int(made.x[node]), "y": int(made.y[node]), "core": int(made.core[place])}


def _reached(mapping: Mapping, one: int) -> list[list[float]]:
    to = mapping.to
    pairs = slice(int(to.start[one]), int(to.start[one + 1]))
    number = to.neurons[pairs]
    return [[int(core), float(n)] for core, n in zip(to.target[pairs], number, strict=True)]


def _cores(tables: Tables, entry: int) -> int:
    return sum(int(word) << 64 * at for at, word in enumerate(tables.cores[entry]))


def _entries(mapping: Mapping, tables: Tables) -> list[dict[str, Any]]:
    made = mapping.machine
    found = []
    for node in range(made.n_nodes):
        entries = []
        for one in range(int(tables.start[node]), int(tables.start[node + 1])):
            cores, links = _cores(tables, one), int(tables.links[one])
            entries.append(
                {
                    "key": int(tables.key[one]),
                    "mask": int(tables.mask[one]),
                    "ports": [name for at, name in enumerate(made.ports) if links >> at & 1],
                    "cores": [at for at in range(cores.bit_length()) if cores >> at & 1],
                }
            )
        found.append({"x": int(made.x[node]), "y": int(made.y[node]), "entries": entries})
    return found
