"""On random boards with dead parts, mappings are right or refused for a reason that holds."""

from dataclasses import replace

import numpy as np
import pytest
from campaigns import campaign
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.slices import of_matrix

from distsnn.errors import DescriptionError
from distsnn.partition.boards.board import load_board
from distsnn.partition.boards.check import check_tables
from distsnn.partition.boards.geometry import build_machine
from distsnn.partition.boards.mapping import OBJECTIVES, map_graph
from distsnn.partition.boards.placement import hops_between
from distsnn.partition.boards.resources import first_exceeded_limit, pack_slices
from distsnn.partition.boards.topology import WRAPS, DeadParts, Topology


@st.composite
def topologies(draw):
    """Draw a topology that no shipped board of SpiNNaker has."""
    kind = draw(st.sampled_from(["torus", "mesh2d", "graph", "crossbar"]))
    if kind in ("torus", "mesh2d"):
        wrap = draw(st.sampled_from(WRAPS[:4])) if kind == "torus" else "none"
        return Topology(kind, "chip", draw(st.integers(1, 8)), draw(st.integers(1, 8)), wrap)
    nodes = draw(st.integers(1, 20))
    pairs = [(a, b) for a in range(nodes) for b in range(a)]
    some = kind == "graph" and pairs
    # now and then two links between two nodes
    edges = draw(st.lists(st.sampled_from(pairs), max_size=60)) if some else []
    return Topology(kind, "chip", nodes, 1, edges=tuple(edges))


@st.composite
def boards(draw):
    board = load_board(draw(st.sampled_from(["spin5", "spin3"])))
    if draw(st.booleans()):
        # few cores a node, so that packets leave it
        cores = replace(board.chip.cores, value=draw(st.integers(2, 5)))
        chip = replace(board.chip, cores=cores)
        board = replace(board, topology=draw(topologies()), chip=chip)
    elif board.name == "spin5":
        board = board.tiled(1, draw(st.sampled_from([1, 2, 3])))
    whole = build_machine(board)
    nodes = list(zip(whole.x.tolist(), whole.y.tolist(), strict=True))
    most = len(nodes) // 4
    dead_nodes = draw(st.lists(st.sampled_from(nodes), max_size=most, unique=True))
    links = []
    if whole.ports:
        link = st.tuples(st.sampled_from(nodes), st.sampled_from(whole.ports))
        links = [(*xy, port) for xy, port in draw(st.lists(link, max_size=40))]
    core = st.tuples(st.sampled_from(nodes), st.integers(0, board.chip.cores.value - 2))
    cores = [(*xy, number) for xy, number in draw(st.lists(core, max_size=30))]
    return board.without(DeadParts(tuple(dead_nodes), tuple(cores), tuple(links)))


@st.composite
def graphs(draw, most=257):
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = (rng.random((n, n)) < draw(st.sampled_from([0.02, 0.2, 0.7]))) * 100.0
    return of_matrix(matrix, neurons=rng.integers(1, most, n), rate=rng.random(n) * 10)


@campaign(8, 120)
def test_what_is_mapped_is_delivered(examples: int) -> None:
    @given(board=boards(), graph=graphs(), optimise=st.sampled_from(OBJECTIVES))
    @settings(max_examples=examples)
    def throw(board, graph, optimise) -> None:
        made = build_machine(board)
        joined = hops_between(made) >= 0
        piece = joined[joined.sum(axis=1).argmax()]
        if made.cores_of_node[piece].sum() < graph.neurons.size:
            with pytest.raises(DescriptionError, match="does not fit"):
                map_graph(graph, board, trials=2000, objective=optimise)
            return
        mapping = map_graph(graph, board, trials=2000, objective=optimise)
        # map_graph has checked it; packets cross what the loads say, and no dead part is used
        parts = (
            mapping.core_targets,
            board,
            made,
            mapping.physical_core,
            mapping.keys,
            mapping.tables,
        )
        found, crossed = check_tables(*parts)
        assert found == []
        assert mapping.link_load.sum() == pytest.approx(
            float((crossed * mapping.core_targets.spike_rate).sum())
        )
        assert (mapping.link_load[made.neighbour < 0] == 0).all()
        assert np.unique(mapping.physical_core).size == mapping.physical_core.size

    throw()


@campaign(12, 40)
def test_packets_to_each_core_cross_as_many_links_as_there_are_hops(examples: int) -> None:
    @given(
        # small ones, so that most fit the axons of a core
        graph=graphs(most=100),
        columns=st.integers(1, 2),
        dead=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3)), max_size=8, unique=True),
    )
    @settings(max_examples=examples)
    def throw(graph, columns, dead) -> None:
        board = load_board("loihi").tiled(columns, 1).without(DeadParts(tuple(dead)))
        core = pack_slices(graph, board)
        over = first_exceeded_limit(graph, board, core)
        if over is not None:
            assert over[0] in ("in_axons", "out_axons")
            with pytest.raises(DescriptionError, match=over[0]):
                map_graph(graph, board, trials=2000)
            return
        joined = hops_between(build_machine(board)) >= 0
        if 4 * joined.sum(axis=1).max() <= core.max():  # dead tiles may cut the machine
            return
        mapping = map_graph(graph, board, trials=2000)
        made, to = mapping.machine, mapping.core_targets
        assert mapping.check() == []
        used = zip(
            made.x[mapping.node_of_slice].tolist(),
            made.y[mapping.node_of_slice].tolist(),
            strict=True,
        )
        assert not set(used) & set(dead)
        hops, node = hops_between(made), made.node_of_core[mapping.physical_core]
        crossed = hops[mapping.node_of_slice[to.source], node[to.target]]
        assert (crossed >= 0).all()
        assert mapping.link_load.sum() == pytest.approx(float(to.packet_rate @ crossed))
        assert (mapping.link_load[made.neighbour < 0] == 0).all()

    throw()
