"""Boards: descriptions of neuromorphic machines, built in by name or read from a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.partition.boards.board_parameters import (
    BoardParameter,
    number_field,
    read_mapping,
    read_section,
)
from distsnn.partition.boards.sections import MULTICAST, Chip, Core, Energy, Links, Router
from distsnn.partition.boards.topology import DeadParts, Topology, read_topology, tile_boards

_BUILTIN = Path(__file__).parent / "descriptions"
_SECTIONS = {"chip": Chip, "core": Core, "router": Router, "links": Links, "energy": Energy}
_FIELDS = ["name", "title", "sources", "checked_by", "topology", *_SECTIONS, "time"]
FORMAT = 1
# Links of a multicast route are bits of an int64; the sign bit and one other bit are reserved.
_MAX_LINKS = 62
_MAX_FILE_BYTES = 250_000  # built-in descriptions have less than 10,000


@dataclass(frozen=True)
class TimeSection:
    """The board's clock.

    Parameters
    ----------
    step : BoardParameter of float
        Time step that the board simulates in real time, ms.
    """

    step: BoardParameter[float] = number_field()


@dataclass(frozen=True)
class Board:
    """A machine of one or more boards.

    Parameters
    ----------
    name, title : str
        Short name, and a description of one line.
    sources : mapping of str to str
        Sources of the board parameters, by the key that the parameters name.
    checked_by : str or None
        Third-party code with which tests compare the description; None without such tests.
    topology : Topology
        Nodes and links.
    chip, core, router, links, energy, time : sections of board parameters
        Capacity, speed and energy of the parts.
    """

    name: str
    title: str
    sources: Mapping[str, str]
    checked_by: str | None
    topology: Topology
    chip: Chip
    core: Core
    router: Router
    links: Links
    energy: Energy
    time: TimeSection

    def tiled(self, columns: int, rows: int) -> "Board":
        """Return a machine of a rectangle of these boards.

        Raises
        ------
        DescriptionError
            If boards of this kind cannot be tiled.
        """
        where = f"board_grid, board {self.name!r}"
        return replace(self, topology=tile_boards(self.topology, columns, rows, where=where))

    def without(self, dead: DeadParts) -> "Board":
        """Return the same machine with dead parts, in coordinates of the whole machine."""
        return replace(self, topology=replace(self.topology, dead=dead))

    def unknown_parameters(self) -> list[str]:
        """Return the names of all unknown board parameters, such as ``energy.hop_x``."""
        return [
            f"{section}.{parameter.name}"
            for section in (*_SECTIONS, "time")
            for parameter in fields(getattr(self, section))
            if getattr(getattr(self, section), parameter.name).value is None
        ]


def builtin_boards() -> list[str]:
    """Return the names of the built-in boards."""
    return sorted(path.stem for path in _BUILTIN.glob("*.yaml"))


def load_board(name: str | Path) -> Board:
    """Return a built-in board, or read a board from a YAML file.

    Parameters
    ----------
    name : str or Path
        Name of a built-in board, or the path of a file that ends in ``.yaml`` or ``.yml``.

    Raises
    ------
    DescriptionError
        If the name is unknown, or the file is not a valid description.
    """
    if str(name) in builtin_boards():
        return read_board(_BUILTIN / f"{name}.yaml")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise unknown_name_error("board", str(name), builtin_boards(), where="board")
    return read_board(path)


def read_board(path: Path) -> Board:
    """Read a board from a YAML file.

    Raises
    ------
    DescriptionError
        If the file cannot be read or is not a valid description.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise DescriptionError(
                "the file is too large for a board",
                where=str(path),
                allowed=f"at most {_MAX_FILE_BYTES:,} bytes",
            )
        data = yaml.safe_load(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(f"cannot be read ({error})", where=str(path)) from error
    except yaml.YAMLError as error:
        raise DescriptionError(f"is not YAML: {error}", where=str(path)) from error
    except RecursionError:
        raise DescriptionError("the YAML is nested too deeply", where=str(path)) from None
    except ValueError as error:  # an integer of thousands of digits, or an invalid date
        raise DescriptionError(f"a value cannot be read ({error})", where=str(path)) from error
    return parse_board(data, where=path.name)


def parse_board(data: object, *, where: str) -> Board:
    """Make a board from a description as plain data; errors name it by `where`."""
    values = read_mapping(data, ["format", *_FIELDS], where=where)
    if values["format"] != FORMAT:
        raise DescriptionError(
            "the file format is unknown",
            where=f"{where}: format",
            value=values["format"],
            allowed=str(FORMAT),
        )
    for key in ("name", "title"):
        if not isinstance(values[key], str) or not values[key]:
            raise DescriptionError("must be a text", where=f"{where}: {key}", value=values[key])
    sources = values["sources"]
    if not isinstance(sources, dict) or not all(
        isinstance(part, str) for pair in sources.items() for part in pair
    ):
        raise DescriptionError("must map keys to texts", where=f"{where}: sources", value=sources)
    checked_by = values["checked_by"]
    if checked_by is not None and not isinstance(checked_by, str):
        raise DescriptionError(
            "must be a text or null", where=f"{where}: checked_by", value=checked_by
        )
    sections: dict[str, Any] = {
        key: read_section(cls, values[key], sources, where=f"{where}: {key}")
        for key, cls in (_SECTIONS | {"time": TimeSection}).items()
    }
    topology = read_topology(values["topology"], sources, where=f"{where}: topology")
    board = Board(values["name"], values["title"], sources, checked_by, topology, **sections)
    _check(board, where=where)
    return board


def _check(board: Board, *, where: str) -> None:
    cores, reserved = board.chip.cores.value, board.chip.reserved.value
    if cores is not None and reserved is not None and reserved >= cores:
        raise DescriptionError(
            "all cores of a chip are reserved",
            where=f"{where}: chip.reserved",
            value=reserved,
            allowed=f"< {cores}",
        )
    bits = board.router.key_bits.value
    if bits is not None and bits > 32:
        raise DescriptionError(
            "keys have too many bits",
            where=f"{where}: router.key_bits",
            value=bits,
            allowed="at most 32",
        )
    links = board.topology.max_links
    if board.router.scheme.value == MULTICAST and links > _MAX_LINKS:
        raise DescriptionError(
            "a node has more links than a multicast routing entry can hold",
            where=f"{where}: topology",
            value=links,
            allowed=f"at most {_MAX_LINKS}",
        )
