"""``distsnn boards``: the boards that networks can be mapped onto."""

import json
from argparse import Namespace
from dataclasses import asdict

from distsnn.comm import Communicator
from distsnn.partition.boards.board import Board, builtin_boards, load_board
from distsnn.partition.boards.geometry import build_machine


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        boards = [
            load_board(name) for name in ([options.board] if options.board else builtin_boards())
        ]
        if options.json:
            print(json.dumps([asdict(board) for board in boards], indent=2))
        elif options.board:
            print("\n".join(_details(boards[0])))
        else:
            print("\n".join(line for board in boards for line in _lines(board)))
    return 0


def _lines(board: Board) -> list[str]:
    machine = build_machine(board)
    checked = f"checked by {board.checked_by}" if board.checked_by else "not checked by other code"
    size = (
        f"{machine.n_nodes} {board.topology.node}s" if machine.n_nodes > 1 else board.topology.node
    )
    return [
        f"{board.name:12}{board.title}",
        f"{'':12}{size}, {machine.core.size:,} cores for neurons; {checked}",
    ]


def _details(board: Board) -> list[str]:
    lines, topology = _lines(board), board.topology
    source = f" ({topology.source}, {topology.confidence})"
    for name in ("kind", "node", "width", "height", "wrap"):
        lines.append(f"  topology.{name} = {getattr(topology, name)}{source}")
    for section in ("chip", "core", "router", "links", "energy", "time"):
        for name, figure in vars(getattr(board, section)).items():
            value = "unknown" if figure.value is None else f"{figure.value}"
            source = f" ({figure.source}, {figure.confidence})" if figure.source else ""
            note = f": {figure.note}" if figure.note else ""
            lines.append(f"  {section}.{name} = {value}{source}{note}")
    return [*lines, *(f"  {key}: {text}" for key, text in board.sources.items())]
