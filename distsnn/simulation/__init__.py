"""The orchestrator: build, epoch loop, record, on the ranks there are or on new ones."""

from distsnn.simulation.orchestrator import Simulation, Summary
from distsnn.simulation.progress import Progress
from distsnn.simulation.remote import simulate

__all__ = ["Progress", "Simulation", "Summary", "simulate"]
