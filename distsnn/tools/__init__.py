"""What users do around a simulation: profile a network, compare partitions, map onto boards."""
