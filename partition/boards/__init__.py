"""Maps neurons onto the cores of neuromorphic boards, and routes their spikes."""
