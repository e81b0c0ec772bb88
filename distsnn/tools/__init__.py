"""What users do around a simulation: profile, compare partitions, map onto boards, submit jobs."""
