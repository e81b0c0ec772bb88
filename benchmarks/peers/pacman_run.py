"""Run by a Python that has PACMAN: what it says of machines, tables, routes, and where it places.

``pacman_run.py REQUEST.json ANSWER.json``; the request's field ``task`` names a function below.
"""

import json
import sys
from pathlib import Path

from pacman.config_setup import unittest_setup
from pacman.data import PacmanDataView
from pacman.data.pacman_data_writer import PacmanDataWriter
from pacman.model.graphs.application import ApplicationEdge
from pacman.model.graphs.application.abstract import AbstractOneAppOneMachineVertex
from pacman.model.graphs.common import Slice
from pacman.model.graphs.machine import SimpleMachineVertex
from pacman.model.partitioner_splitters import SplitterOneAppOneMachine
from pacman.model.placements import Placement, Placements
from pacman.model.resources import ConstantSDRAM
from pacman.model.routing_info import BaseKeyAndMask, MachineVertexRoutingInfo, RoutingInfo
from pacman.model.routing_tables.multicast_routing_tables import from_json
from pacman.operations.multi_cast_router_check_functionality.valid_routes_checker import (
    validate_routes,
)
from pacman.operations.placer_algorithms.application_placer import place_application_graph
from pacman.operations.router_compressors.pair_compressor import pair_compressor
from pacman.operations.router_compressors.routing_compression_checker import compare_tables
from pacman.utilities.json_utils import placement_from_json
from spinn_machine.virtual_machine import virtual_machine
from spinn_utilities.config_holder import set_config

PART = "spikes"


def start(request: dict) -> PacmanDataWriter:
    """Return what holds a virtual machine of the request's size."""
    unittest_setup()
    set_config("Machine", "version", str(request["version"]))
    set_config("Mapping", "router_table_compress_as_far_as_possible", "True")
    writer = PacmanDataWriter.mock()
    writer.set_machine(virtual_machine(request["width"], request["height"]))
    return writer


def machine(request: dict) -> dict:
    """Return chips with cores, links, entries and memory."""
    start(request)
    return {
        "chips": [
            {
                "x": chip.x,
                "y": chip.y,
                "cores": sorted(p for p in range(18) if chip.is_processor_with_id(p)),
                "reserved": chip.n_processors - chip.n_placable_processors,
                "links": sorted(
                    [link.source_link_id, link.destination_x, link.destination_y]
                    for link in chip.router.links
                ),
                "entries": chip.router.n_available_multicast_entries,
                "sdram": chip.sdram,
            }
            for chip in PacmanDataView.get_machine().chips
        ]
    }


def compress(request: dict) -> dict:
    """Return the entries a chip of PACMAN's compressed tables; compare ours with the plain ones."""
    writer = start(request)
    plain = from_json(request["plain"])
    writer.set_precompressed(plain)
    theirs = pair_compressor(accept_overflow=True)
    compressed = from_json(request["compressed"])
    for table in plain:
        compare_tables(table, compressed.get_routing_table_for_chip(table.x, table.y))
    return {"theirs": [table.number_of_entries for table in theirs]}


def graph(request: dict) -> list:
    """Make a vertex of each slice, and their edges; return the vertices."""
    vertices = []
    for index, atoms in enumerate(request["neurons"]):
        label = f"slice {index}"
        core = SimpleMachineVertex(ConstantSDRAM(0), label=label, vertex_slice=Slice(0, atoms - 1))
        vertex = AbstractOneAppOneMachineVertex(core, label, atoms)
        core._app_vertex = vertex
        vertex.splitter = SplitterOneAppOneMachine()
        PacmanDataView.add_vertex(vertex)
        vertices.append(vertex)
    for source, target in request["edges"]:
        PacmanDataView.add_edge(ApplicationEdge(vertices[source], vertices[target]), PART)
    return vertices


def validate(request: dict) -> dict:
    """Have PACMAN follow our plain tables from our placements."""
    writer = start(request)
    vertices = graph(request)
    placements, keys = Placements(), RoutingInfo()
    for index, (vertex, data) in enumerate(zip(vertices, request["placements"], strict=True)):
        core, at = vertex.machine_vertex, placement_from_json(data)
        # the reader makes a vertex of its own, which has no edges
        assert at.vertex.label == core.label
        placements.add_placement(Placement(core, *at.location))
        pair = BaseKeyAndMask(*request["keys"][index])
        keys.add_routing_info(MachineVertexRoutingInfo(pair, PART, core, 0))
    writer.set_placements(placements)
    writer.set_routing_infos(keys)
    validate_routes(from_json(request["plain"]))
    return {"valid": len(vertices)}


def place(request: dict) -> dict:
    """Return where PACMAN places the slices."""
    writer = start(request)
    writer.set_plan_n_timesteps(1000)
    vertices = graph(request)
    placements = place_application_graph(Placements())
    found = [placements.get_placement_of_vertex(one.machine_vertex) for one in vertices]
    return {"placements": [[one.x, one.y, one.p] for one in found]}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    answer = globals()[asked["task"]](asked)
    Path(sys.argv[2]).write_text(json.dumps(answer))
