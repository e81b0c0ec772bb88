"""Which core of a neuromorphic board hosts which neurons, and how spikes get there."""
