"""Steps before a simulation: profile, compare partitions, map onto boards, submit jobs."""
