"""Numba kernels: arrays in, arrays out; one module per neuron family, delivery, wiring, stimuli."""
