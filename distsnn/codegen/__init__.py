"""From a neuron's `step` to the compiled loop over neurons, written as a real, cached module."""
