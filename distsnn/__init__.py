"""distsnn: large spiking neural networks on many machines, with the same spikes on any number.

The names here are loaded when they are first used, so that importing the package stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distsnn.analysis import Run as Run
    from distsnn.analysis import open_run as open_run
    from distsnn.analysis import raster as raster
    from distsnn.analysis import write_report as write_report
    from distsnn.errors import DescriptionError as DescriptionError
    from distsnn.errors import DistsnnError as DistsnnError
    from distsnn.errors import InputError as InputError
    from distsnn.errors import RankError as RankError
    from distsnn.errors import RunawayError as RunawayError
    from distsnn.errors import SimulationStateError as SimulationStateError
    from distsnn.errors import StateError as StateError
    from distsnn.errors import Stopped as Stopped
    from distsnn.errors import StoreError as StoreError
    from distsnn.errors import UsageError as UsageError
    from distsnn.io.summary import RunInfo as RunInfo
    from distsnn.io.summary import read_run_info as read_run_info
    from distsnn.network import *  # noqa: F403
    from distsnn.partition.assignment import Assignment as Assignment
    from distsnn.partition.graph import Graph as Graph
    from distsnn.simulation import Progress as Progress
    from distsnn.simulation import RunPolicy as RunPolicy
    from distsnn.simulation import RunSummary as RunSummary
    from distsnn.simulation import Simulation as Simulation
    from distsnn.simulation import simulate as simulate
    from distsnn.tools.board_mapping import NetworkMapping as NetworkMapping
    from distsnn.tools.board_mapping import map_network as map_network
    from distsnn.tools.job_submission import SubmittedJob as SubmittedJob
    from distsnn.tools.job_submission import submit_job as submit_job
    from distsnn.tools.model_reference import describe_model as describe_model
    from distsnn.tools.model_reference import list_models as list_models
    from distsnn.tools.partition_comparison import compare_partitions as compare_partitions
    from distsnn.tools.profiles import Profile as Profile
    from distsnn.tools.profiling import profile_network as profile_network
    from distsnn.tools.runs import FinishedRun as FinishedRun
    from distsnn.tools.runs import run_model as run_model
else:  # hidden from type checkers, to which a module with __getattr__ has any name
    _HOMES = {
        **dict.fromkeys(("Run", "open_run", "raster", "write_report"), "distsnn.analysis"),
        **dict.fromkeys(
            (
                *("DescriptionError", "DistsnnError", "InputError", "RankError", "RunawayError"),
                *("SimulationStateError", "StateError", "Stopped", "StoreError", "UsageError"),
            ),
            "distsnn.errors",
        ),
        **dict.fromkeys(("RunInfo", "read_run_info"), "distsnn.io.summary"),
        "Assignment": "distsnn.partition.assignment",
        "Graph": "distsnn.partition.graph",
        **dict.fromkeys(
            ("Progress", "RunPolicy", "RunSummary", "Simulation", "simulate"), "distsnn.simulation"
        ),
        **dict.fromkeys(("NetworkMapping", "map_network"), "distsnn.tools.board_mapping"),
        **dict.fromkeys(("SubmittedJob", "submit_job"), "distsnn.tools.job_submission"),
        **dict.fromkeys(("describe_model", "list_models"), "distsnn.tools.model_reference"),
        "compare_partitions": "distsnn.tools.partition_comparison",
        "Profile": "distsnn.tools.profiles",
        "profile_network": "distsnn.tools.profiling",
        **dict.fromkeys(("FinishedRun", "run_model"), "distsnn.tools.runs"),
    }

    def __dir__() -> list[str]:
        return sorted({*_HOMES, *import_module("distsnn.network").__all__})

    def __getattr__(name: str) -> Any:
        if name == "__all__":  # as `from distsnn import *` asks
            return __dir__()
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        from distsnn.public_api import is_submodule, no_such_name

        if not is_submodule(__name__, name):
            network = import_module("distsnn.network")
            if name in network.__all__:
                return getattr(network, name)
        raise no_such_name(__name__, name)
