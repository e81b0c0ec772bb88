"""The orchestrator: build, epoch loop, record, on the ranks there are or on new ones."""

from typing import TYPE_CHECKING, Any

from distsnn.public_api import no_such_name
from distsnn.simulation.launched_simulation import simulate
from distsnn.simulation.orchestrator import Simulation
from distsnn.simulation.policy import RunPolicy
from distsnn.simulation.progress import Progress
from distsnn.simulation.run_summary import RunCounters, RunSummary

if not TYPE_CHECKING:  # to which a module with __getattr__ has any name

    def __getattr__(name: str) -> Any:
        raise no_such_name(__name__, name)


__all__ = ["Progress", "RunCounters", "RunPolicy", "RunSummary", "Simulation", "simulate"]
