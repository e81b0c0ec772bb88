"""MODEL: the network of an example, a Python file, a run's store or a stored network."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distsnn import examples
from distsnn.errors import DescriptionError
from distsnn.io.network_files import is_network, load_network
from distsnn.io.reader import StoreReader
from distsnn.io.run_writer import is_run
from distsnn.network import Network
from distsnn.tools import model_files
from distsnn.tools.model_settings import arguments, defaults

_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Model:
    """A network and where it came from.

    Attributes
    ----------
    network : Network
        The network.
    metadata : dict
        For the run's metadata: kind, name or path, parameters.
    seed : int
        The seed if none is given.
    time_ms : float or None
        The time if none is given, ms; None where one must be.
    """

    network: Network
    metadata: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    time_ms: float | None = None


def load_model(name: str, settings: Sequence[str], *, repeatable: bool = True) -> Model:
    """Return the model of a name.

    Parameters
    ----------
    name : str
        An example's name, or the path of a Python file, of a run's store or of a folder with a
        network's description. A path in the current folder that is also an example's name is
        written ``./NAME``.
    settings : sequence of str
        Parameters for `build`, each ``NAME=VALUE``.
    repeatable : bool
        Whether a run that a script changed is refused, as it cannot be repeated.

    Raises
    ------
    DescriptionError
        If the model does not exist or cannot be built.
    StoreError
        If a store cannot be read.
    """
    if name in examples.names():
        return _example(name, settings)
    path = Path(name)
    try:
        path.stat()
    except FileNotFoundError:
        raise _unknown(name, path) from None
    except (OSError, ValueError) as error:  # for example, a name that is too long or contains a NUL
        raise DescriptionError(f"cannot be a path: {error}", where="MODEL", value=name) from error
    if path.is_file():
        return _file(path.resolve(), settings)
    if path.is_dir() and (is_run(path) or is_network(path)):
        check_no_settings(name, settings)
        if is_run(path):
            return _run(path.resolve(), repeatable=repeatable)
        return _stored(path.resolve())
    raise _unknown(name, path)


def _example(name: str, settings: Sequence[str]) -> Model:
    build = model_files.build_function(examples.example(name))
    chosen = arguments(build, settings, where=f"example {name!r}")
    description = {
        "kind": "example",
        "name": name,
        "parameters": _json_parameters(defaults(build) | chosen),
    }
    return Model(build(**chosen), description)


def _file(path: Path, settings: Sequence[str]) -> Model:
    if path.suffix != ".py":
        raise DescriptionError(
            "not a Python file", where="MODEL", value=str(path), allowed="a name ending in .py"
        )
    module = model_files.load_file(path)
    build = model_files.build_function(module)
    chosen = arguments(build, settings, where=model_files.source_location(build, path))
    network = model_files.call(build, chosen, path)
    description = {
        "kind": "file",
        "path": str(path),
        "parameters": _json_parameters(defaults(build) | chosen),
    }
    return Model(network, description)


def _run(path: Path, *, repeatable: bool) -> Model:
    reader = StoreReader(path, partial=True)  # of which the description alone is needed
    if repeatable:
        check_not_scripted(reader)
    metadata = reader.metadata
    description = {"kind": "run", "path": str(path)}
    network = Network.from_dict(*reader.network())
    return Model(network, description, int(metadata["seed"]), float(metadata["target_time_ms"]))


def check_not_scripted(reader: StoreReader) -> None:
    """Raise DescriptionError if a script took part in a run, which the command cannot repeat."""
    names = reader.metadata.get("script_changes", [])
    if names:
        raise DescriptionError(
            f"a script changed the run ({', '.join(map(str, names))}) and the store does not "
            "record when",
            where=str(reader.path),
            hint="run the script again",
        )


def check_no_settings(name: str, settings: Sequence[str]) -> None:
    """Raise DescriptionError if parameters are given for a network that is stored."""
    if settings:
        raise DescriptionError(
            f"the stored network {name} has no parameters", where="settings", value=settings[0]
        )


def _stored(path: Path) -> Model:
    return Model(load_network(path), {"kind": "network", "path": str(path)})


def _json_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    # What JSON can hold; the network itself is stored whole anyway.
    return {
        name: value if isinstance(value, _PLAIN) else repr(value)
        for name, value in parameters.items()
    }


def _unknown(name: str, path: Path) -> DescriptionError:
    kinds = ", ".join(examples.names())
    if path.is_dir():
        return DescriptionError(
            "the folder holds neither a run nor a network",
            where="MODEL",
            value=name,
            allowed=f"one of the examples {kinds}; a Python file; a run; a network's folder",
        )
    siblings = path.parent.iterdir() if path.parent.is_dir() else ()
    nearby = [
        str(path.parent / sibling.name)
        for sibling in siblings
        if sibling.suffix in (".py", ".zarr")
    ]
    close = difflib.get_close_matches(name, [*examples.names(), *nearby], n=1, cutoff=0.5)
    return DescriptionError(
        "no example, file or run has this name",
        where="MODEL",
        value=name,
        allowed=f"one of the examples {kinds}; the path of a Python file, a run or a network",
        nearest=close[0] if close else None,
    )
