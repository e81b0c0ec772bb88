"""One module per synapse model: what a spike of the source does to its state and weights."""
