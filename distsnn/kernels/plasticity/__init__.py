"""One module per rule by which synapses learn: what spikes do to traces, and traces to weights."""
