"""A board: what hardware there is to map a network onto, read from a file or shipped by name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from distsnn.errors import DescriptionError, unknown
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
# Links of a multicast route are bits of an int64: beside the sign and one that is no port.
_MAX_LINKS = 62
_MAX_FILE_BYTES = 250_000  # bytes; shipped descriptions have less than 10,000


@dataclass(frozen=True)
class TimeSection:
    """The board's clock.

    Parameters
    ----------
    step : Figure of float
        The step of simulated time that it keeps up with, ms.
    """

    step: BoardParameter[float] = number_field()


@dataclass(frozen=True)
class Board:
    """A machine of one or more boards.

    Parameters
    ----------
    name, title : str
        Short name, and what it is in a line.
    sources : mapping of str to str
        Where figures come from; figures name its keys.
    checked_by : str or None
        Third-party code that the description was compared with in tests; None if none was.
    topology : Topology
        Nodes and links.
    chip, core, router, links, energy, time : sections of figures
        What nodes hold, can do and spend.
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
            If they cannot be joined.
        """
        where = f"board {self.name!r}, boards"
        return replace(self, topology=tile_boards(self.topology, columns, rows, where=where))

    def without(self, dead: DeadParts) -> "Board":
        """Return the same machine with dead parts, in coordinates of the whole machine."""
        return replace(self, topology=replace(self.topology, dead=dead))

    def unknown_parameters(self) -> list[str]:
        """Return the names of all figures that are not known, such as ``energy.hop_x``."""
        return [
            f"{section}.{parameter.name}"
            for section in (*_SECTIONS, "time")
            for parameter in fields(getattr(self, section))
            if getattr(getattr(self, section), parameter.name).value is None
        ]


def builtin_boards() -> list[str]:
    """Return the names of the boards that come with distsnn."""
    return sorted(path.stem for path in _BUILTIN.glob("*.yaml"))


def load_board(name: str | Path) -> Board:
    """Return the board of a name, or of a YAML file.

    Parameters
    ----------
    name : str or Path
        A shipped board's name, or the path of a file that ends in ``.yaml`` or ``.yml``.

    Raises
    ------
    DescriptionError
        If there is none, or its description is not valid; the error names file and field.
    """
    if str(name) in builtin_boards():
        return read_board(_BUILTIN / f"{name}.yaml")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise unknown(
            "board", str(name), builtin_boards(), where="the path of a .yaml file or a name"
        )
    return read_board(path)


def read_board(path: Path) -> Board:
    """Return the board that a YAML file describes.

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
    except ValueError as error:  # a number of thousands of digits, or no valid date
        raise DescriptionError(f"a value cannot be read ({error})", where=str(path)) from error
    return parse_board(data, where=path.name)


def parse_board(data: object, *, where: str) -> Board:
    """Return the board of a description as plain data; `where` names it in errors."""
    values = read_mapping(data, ["format", *_FIELDS], where=where)
    if values["format"] != FORMAT:
        raise DescriptionError(
            "unknown format", where=f"{where}: format", value=values["format"], allowed=str(FORMAT)
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
            "no core is left", where=f"{where}: chip.reserved", value=reserved, allowed=f"< {cores}"
        )
    bits = board.router.key_bits.value
    if bits is not None and bits > 32:
        raise DescriptionError(
            "too many", where=f"{where}: router.key_bits", value=bits, allowed="at most 32"
        )
    links = board.topology.max_links
    if board.router.scheme.value == MULTICAST and links > _MAX_LINKS:
        raise DescriptionError(
            "a node has more links than entries of multicast tables are made for",
            where=f"{where}: topology",
            value=links,
            allowed=f"at most {_MAX_LINKS}",
        )
