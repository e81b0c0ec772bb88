"""The options of `distsnn boards` and `distsnn map`."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any


def add_board_commands(
    add: Callable[[str, str], Any],
    add_model: Callable[[Any], None],
    time: Callable[[str], float],
    rates: str,
) -> None:
    """Add both commands.

    Parameters
    ----------
    add : callable
        Returns the parser of a new command with a name and a line of help.
    add_model : callable
        Adds MODEL and what belongs to it.
    time : callable
        Returns the time, ms, that a text gives.
    rates : str
        Help on ``--rates``.
    """
    boards: ArgumentParser = add(
        "boards", "list neuromorphic boards, or print the parameters of a board"
    )
    boards.add_argument("board", metavar="BOARD", nargs="?", help="a board's name, or a YAML file")
    boards.add_argument("--json", action="store_true", help="print JSON")
    mapper: ArgumentParser = add("map", "map a model onto a neuromorphic board")
    add_model(mapper)
    mapper.add_argument(
        "--board", metavar="BOARD", required=True, help="a board's name, or a YAML file"
    )
    mapper.add_argument(
        "--board-grid", metavar="CxR", help="columns x rows of connected boards (default: 1x1)"
    )
    mapper.add_argument("--rates", metavar="FILE", help=f"{rates} (default: 1 spike/s)")
    mapper.add_argument(
        "--neurons-per-core",
        metavar="N",
        type=_neurons,
        help="maximum number of neurons per core (default: that of the board, if it is known)",
    )
    mapper.add_argument(
        "--objective",
        choices=("hops", "congestion", "energy"),
        default="hops",
        help="hops: short paths; congestion: short paths, spread over links; energy: least energy "
        "of links and chips (default: %(default)s)",
    )
    mapper.add_argument(
        "--simulate",
        metavar="MS",
        type=time,
        help="also simulate this time with and without the limits of the board, and print the "
        "differences; the default of --rates is then the simulated rates",
    )
    mapper.add_argument(
        "--connectivity",
        choices=("expected", "built"),
        help="connectivity of neurons and cores: `expected` from the description, or `built` with "
        "this seed (default: built if a packet is sent to each core)",
    )
    mapper.add_argument("--out", metavar="FILE", help="write the mapping here, as JSON")
    mapper.add_argument(
        "--export-pacman",
        metavar="FOLDER",
        help="write placements.json and routing_tables.json here, as SpiNNaker's PACMAN reads them",
    )
    mapper.add_argument(
        "--export-sanafe",
        metavar="FILE",
        help="write the section `mappings` of SANA-FE's network files here (JSON, which is YAML)",
    )
    mapper.add_argument(
        "--plot", metavar="FILE", help="plot chips and links: FILE-chips.png, FILE-links.png"
    )


def _neurons(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of neurons")
    return int(text)
