"""The orchestrator: build, epoch loop, record, on the ranks there are or on new ones."""

from distsnn.simulation.orchestrator import Simulation
from distsnn.simulation.policy import Policy
from distsnn.simulation.progress import Progress
from distsnn.simulation.remote import simulate
from distsnn.simulation.run_summary import Counted, Summary

__all__ = ["Counted", "Policy", "Progress", "Simulation", "Summary", "simulate"]
