#!/usr/bin/env python3
"""Mappings onto SpiNNaker's boards beside PACMAN's, and how long large networks take.

``python benchmarks/boards.py`` prints a line of JSON for each case, and a table at the end:

- `sparse`, `modules`: 760 slices of lognormal rates on the 808 cores of one board; each reaches 20
  others at random, or they are 95 modules of 8 that reach 5 others each. Entries of all routers
  after compression and of the largest table, beside PACMAN's pair compressor of the same plain
  tables; rate × hops, beside those of PACMAN's placement;
- `microcircuit`: the full microcircuit on one board, 256 neurons a core;
- `populations`, `random`: a million neurons on nine boards, in 1000 populations that each reach
  themselves and 5 others, or in one.

Of these three: seconds of the whole command, on the clock and of CPUs, and of mapping with all
checks; boards, chips, entries, peak memory. The first start makes an environment for PACMAN, as
`compare.py` does for its peers.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from networks.slices import modular, sparse, unequal
from peers.asking import ask
from peers.environments import python_of
from peers.measure import measured
from running import MeasurementError

from distsnn.cli.tables import columns
from distsnn.partition.boards.board import load_board
from distsnn.partition.boards.export import pacman_tables
from distsnn.partition.boards.mapping import map_graph, route_mapping
from distsnn.partition.boards.report import rate_weighted_hops
from distsnn.partition.traffic import TrafficGraph

SPIN5 = {"version": 5, "width": 8, "height": 8}
GRAPHS: dict[str, Callable[[], TrafficGraph]] = {
    "sparse": lambda: sparse(760, 20, rate=unequal(760)),
    "modules": lambda: modular(95, 8, 5, rate=unequal(760)),
}
_MILLION = str(Path(__file__).parent / "networks" / "random_populations.py")
COMMANDS = {
    "microcircuit": ("microcircuit", "--neurons-per-core", "256"),
    "populations": (_MILLION, "--set", "populations=1000", "others=5", "--board-grid", "3x3"),
    "random": (_MILLION, "--board-grid", "3x3"),
}


def edges(graph: TrafficGraph) -> list[list[int]]:
    """Return pairs of slices of which the first reaches the second."""
    return np.column_stack([graph.source, graph.target]).tolist()


def beside_pacman(graph: TrafficGraph, asked: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Return entries, the largest table, and rate × hops, of ours and of PACMAN.

    Parameters
    ----------
    graph : TrafficGraph
        Slices that fit one board.
    asked : callable
        Has PACMAN answer: `peers.asking.ask`.
    """
    board = load_board("spin5")
    mapping = map_graph(graph, board)
    plain, merged = (pacman_tables(mapping, compressed=one) for one in (False, True))
    theirs = asked(task="compress", plain=plain, compressed=merged, **SPIN5)["theirs"]
    neurons = graph.neurons.tolist()
    answer = asked(task="place", neurons=neurons, edges=edges(graph), **SPIN5)
    made, tables = mapping.machine, mapping.tables
    assert tables is not None
    place_of = {
        (int(made.x[node]), int(made.y[node]), int(core)): place
        for place, (node, core) in enumerate(zip(made.node_of_core, made.core, strict=True))
    }
    places = np.array([place_of[tuple(one)] for one in answer["placements"]])
    other = route_mapping(board, made, graph, mapping.core_targets, mapping.resources, places)
    pairs = {
        "entries": (int(tables.sizes.sum()), sum(theirs)),
        "largest_table": (int(tables.sizes.max()), max(theirs)),
        "rate_hops": (rate_weighted_hops(mapping), rate_weighted_hops(other)),
    }
    found = {name: {"ours": ours, "pacman": peer} for name, (ours, peer) in pairs.items()}
    return {"slices": graph.n, **found, "mapping_s": round(mapping.seconds, 2)}


def mapped(*words: str) -> dict[str, Any]:
    """Return what ``distsnn map`` tells of a network on spin5, and the seconds that it takes.

    Raises
    ------
    MeasurementError
        If it fails; it has told why.
    """
    with TemporaryDirectory(prefix="distsnn-boards-") as folder:
        out = Path(folder) / "mapping.json"
        command = [sys.executable, "-m", "distsnn", "map", *words, "--board", "spin5"]
        with measured() as cost:
            done = subprocess.run([*command, "--out", str(out)], stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            raise MeasurementError(f"distsnn map {' '.join(words)}: code {done.returncode}")
        report = json.loads(out.read_text())["report"]
    columns_of_boards, rows = report["boards"]
    return {
        "wall_s": round(cost.wall_s, 2),
        "cpu_s": round(cost.cpu_s, 2),
        "mapping_s": round(report["seconds"], 2),
        "boards": columns_of_boards * rows,
        **{name: report[name] for name in ("neurons", "slices", "cores", "chips")},
        "table_entries": report["table_entries"],
        "peak_rss_bytes": report["peak_rss_bytes"],
        "others_cpu": round(cost.others_cpu, 3),
    }


def _row(found: dict[str, Any]) -> list[str]:
    """Return a case's row of the table."""
    if "table_entries" not in found:
        pairs = (found[name] for name in ("entries", "largest_table", "rate_hops"))
        said = [f"{one['ours']:,.0f} ({one['ours'] / one['pacman']:.2f})" for one in pairs]
        spent = f"{found['mapping_s']:.1f}", "", "", ""
        return [found["case"], f"{found['slices']:,}", *said, *spent]
    entries = found["table_entries"]
    ours = f"{entries['compressed']:,}", f"{entries['max_per_node']:,}", ""
    times = [f"{found[name]:.1f}" for name in ("mapping_s", "wall_s", "cpu_s")]
    memory = f"{found['peak_rss_bytes'] / 1e9:.2f}"
    return [found["case"], f"{found['slices']:,}", *ours, *times, memory]


def main(words: list[str]) -> int:
    """Run the cases."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cases = [*GRAPHS, *COMMANDS]
    options.add_argument(
        "--cases", nargs="+", choices=cases, default=cases, help="default: all", metavar="CASE"
    )
    chosen, rows = options.parse_args(words).cases, []
    map_graph(sparse(8, 2), load_board("spin5"))  # compiled before anything is timed
    for case in chosen:
        if case in GRAPHS:
            with TemporaryDirectory(prefix="distsnn-boards-") as folder:
                asked = partial(ask, "pacman", python_of("pacman"), Path(folder))
                found = beside_pacman(GRAPHS[case](), asked)
        else:
            found = mapped(*COMMANDS[case])
        found = {"case": case, **found}
        print(json.dumps(found), flush=True)
        rows.append(_row(found))
    heads = [
        "",
        "slices",
        "entries",
        "largest",
        "rate x hops",
        "mapping s",
        "wall s",
        "CPU s",
        "GB",
    ]
    print("\n".join(columns(heads, rows)))
    print("in brackets: by PACMAN's")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
