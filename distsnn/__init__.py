"""distsnn: large spiking neural networks on many machines, with the same spikes on any number.

The names here are loaded when they are first used, so that importing the package stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distsnn.analysis import open_run as open_run
    from distsnn.network import *  # noqa: F403
    from distsnn.simulation import Simulation as Simulation
    from distsnn.simulation import Summary as Summary
    from distsnn.simulation import simulate as simulate

_HOMES = ("distsnn.simulation", "distsnn.network", "distsnn.analysis")
_OFFERED = {"distsnn.analysis": ("open_run",)}


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for home in _HOMES:
            module = import_module(home)
            if name in _OFFERED.get(home, getattr(module, "__all__", ())):
                return getattr(module, name)
    raise AttributeError(f"module 'distsnn' has no attribute {name!r}")
