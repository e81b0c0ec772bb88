"""The orchestrator: build, epoch loop, record, on the ranks there are or on new ones."""

from distsnn.simulation.launched_simulation import simulate
from distsnn.simulation.orchestrator import Simulation
from distsnn.simulation.policy import RunPolicy
from distsnn.simulation.progress import Progress
from distsnn.simulation.run_summary import RunCounters, RunSummary

__all__ = ["Progress", "RunCounters", "RunPolicy", "RunSummary", "Simulation", "simulate"]
