"""distsnn: large spiking neural networks on many machines, with the same spikes on any number.

The names here are loaded when they are first used, so that importing the package stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distsnn.analysis import open_run as open_run
    from distsnn.network import *  # noqa: F403
    from distsnn.simulation import Policy as Policy
    from distsnn.simulation import Simulation as Simulation
    from distsnn.simulation import Summary as Summary
    from distsnn.simulation import simulate as simulate

_HOMES = {
    "open_run": "distsnn.analysis",
    "Policy": "distsnn.simulation",
    "Simulation": "distsnn.simulation",
    "Summary": "distsnn.simulation",
    "simulate": "distsnn.simulation",
}


def __dir__() -> list[str]:
    offered = import_module("distsnn.network").__all__
    return sorted({*_HOMES, *(name for name in offered if name[:1].isupper())})


def __getattr__(name: str) -> Any:
    if name == "__all__":  # as `from distsnn import *` asks
        return __dir__()
    # Only names of classes may be looked for in the network package: asking it for a submodule
    # of ours (which Python does on its way to importing it) would import everything at once.
    home = _HOMES.get(name, "distsnn.network" if name[:1].isupper() else None)
    if home is not None:
        found = getattr(import_module(home), name, None)
        if found is not None:
            return found
    raise AttributeError(f"module 'distsnn' has no attribute {name!r}")
