"""Batch jobs under SLURM: their scripts as text, made by pure functions, and their submission.

A run needs nothing from here: `srun distsnn run ...` works by itself.
"""

from distsnn.slurm.directives import seeds_of, time_limit_s
from distsnn.slurm.job import BatchJob
from distsnn.slurm.mpi_flag import choose_mpi_flag, known_flags, mpi_flag
from distsnn.slurm.script import analysis_script, job_script
from distsnn.slurm.submission import submit

__all__ = [
    "BatchJob",
    "analysis_script",
    "choose_mpi_flag",
    "job_script",
    "known_flags",
    "mpi_flag",
    "seeds_of",
    "submit",
    "time_limit_s",
]
