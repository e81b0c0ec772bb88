import pytest

from distsnn.comm import Launcher, detect_launcher

PLAIN = {"PATH": "/usr/bin", "HOME": "/root"}
STEP = {"SLURM_PROCID": "1", "SLURM_NTASKS": "8", "SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"PMI_RANK": "3", "PMI_SIZE": "4"}, Launcher("mpiexec", 3, 4)),
        (
            {"PMI_RANK": "3", "PMI_SIZE": "4", "HYDI_CONTROL_FD": "7"},
            Launcher("mpiexec", 3, 4, "MPICH"),
        ),
        (
            {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "PMIX_RANK": "0"},
            Launcher("Open MPI's mpirun", 0, 2, "Open MPI"),
        ),
        ({"PMIX_RANK": "5"}, Launcher("a PMIx launcher", 5, None)),
        (STEP, Launcher("srun", 1, 8)),
        (STEP | {"SLURM_STEP_NUM_TASKS": "2"}, Launcher("srun", 1, 2)),
        # mpiexec in an allocation: its helpers' step says nothing about the ranks.
        (STEP | {"PMI_RANK": "0", "PMI_SIZE": "16"}, Launcher("mpiexec", 0, 16)),
        # A batch script, an interactive shell: not one of several processes.
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),
        (STEP | {"SLURM_STEP_ID": "4294967290"}, None),
        (STEP | {"SLURM_STEP_ID": "4294967291"}, None),
        ({"PMI_RANK": "none"}, None),
    ],
)
def test_launcher_is_read_from_the_environment(
    environ: dict[str, str], expected: Launcher | None
) -> None:
    assert detect_launcher(PLAIN | environ) == expected
