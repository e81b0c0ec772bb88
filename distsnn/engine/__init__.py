"""Description + assignment -> this rank's synapses, states and tables of calls; knows no MPI."""
