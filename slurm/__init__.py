"""Batch jobs under SLURM; `srun distsnn run ...` itself needs nothing from here."""
