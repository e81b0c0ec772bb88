"""Pulse packets: volleys of spikes with Gaussian jitter, as given spikes."""

import math

import numpy as np
from numba import uint64

from distsnn.coding.checks import Integers
from distsnn.counter_rng import STIMULUS, random_word, substream_key, uniform_01
from distsnn.errors import DescriptionError
from distsnn.jit import kernel
from distsnn.network import Population, PopulationView, SpikeInput
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    POSITIVE,
    FloatArray,
    as_floats,
    as_integer,
    as_number,
    check_range,
)
from distsnn.network.populations import TO_END
from distsnn.public_api import public_function

_MOST_STEP = 2**31 - 1


@public_function
def pulse_packets(
    target: Population | PopulationView,
    times: object,
    activity: int,
    sd: float,
    weight: float,
    *,
    dt: float = 0.1,
    seed: int = 1,
    receptor: str | None = None,
    name: str | None = None,
) -> SpikeInput:
    """Return spikes in packets: around each time, `activity` spikes onto each target neuron.

    The time of each spike is drawn from a normal distribution around the time of its packet, and
    takes the nearest step (Diesmann, Gewaltig & Aertsen 1999, Nature 402).

    Parameters
    ----------
    target : Population or PopulationView
        The neurons that receive the spikes.
    times : array_like, shape (n_packets,), ms
        Centres of the packets.
    activity : int
        Spikes of a packet onto each neuron, >= 0.
    sd : float, ms
        Standard deviation of the spikes of a packet, >= 0.
    weight : float
        Weight in the target model's unit.
    dt : float, ms
        Time step of the network.
    seed : int
        Seed of the random numbers, 0 to 2^64 - 1. Give each trial another one.
    receptor : str, optional
        Receptor; None takes the only one, or the one of the weight's sign.
    name : str, optional
        Name of the stimulus.

    Returns
    -------
    SpikeInput
        The spikes. Those before the first step are left out.

    Raises
    ------
    DescriptionError
        If a value is out of range.

    Notes
    -----
    The spikes of a neuron depend on the seed, its index in the target and the packet's index alone.
    Their times use the system's logarithm and cosine: on machines with other versions of these a
    spike may take the next step. Ranks then refuse to run networks that differ.

    Examples
    --------
    >>> pulse_packets(E, [50.0, 150.0], 20, sd=2.0, weight=40.0, seed=3)  # doctest: +SKIP
    """
    where = "pulse_packets"
    view = target[:] if isinstance(target, Population) else target
    if not isinstance(view, PopulationView) or view.stop == TO_END:
        raise DescriptionError(
            "its size is unknown",
            where=f"{where}, target",
            value=target,
            allowed="a Population or a part of it",
        )
    centres = np.atleast_1d(as_floats(times, where=f"{where}, times"))
    check_range(centres, ANY, where=f"{where}, times")
    activity = as_integer(activity, where=f"{where}, activity", high=_MOST_STEP)
    sd, dt = as_number(sd, where=f"{where}, sd"), as_number(dt, where=f"{where}, dt")
    check_range(sd, NOT_NEGATIVE, where=f"{where}, sd")
    check_range(dt, POSITIVE, where=f"{where}, dt")
    seed = as_integer(seed, where=f"{where}, seed", high=2**64 - 1)
    steps = np.empty((view.size, centres.size, activity), np.int64)
    _fill_steps(centres / dt, sd / dt, np.uint64(seed), steps)
    neurons = np.broadcast_to(np.arange(view.size)[:, None, None], steps.shape)
    acts = (steps >= 1) & (steps <= _MOST_STEP)
    return SpikeInput(view, steps[acts] * dt, neurons[acts], weight, receptor, name)


@kernel
def _fill_steps(centres: FloatArray, sd: float, seed: np.uint64, steps: Integers) -> None:
    # steps [i neuron, p packet, s spike]; centres [p] and sd in steps
    parent = substream_key(substream_key(uint64(0), seed), STIMULUS)
    for i in range(steps.shape[0]):
        neuron_key = substream_key(parent, i)
        for p in range(steps.shape[1]):
            key = substream_key(neuron_key, p)
            for s in range(steps.shape[2]):
                # Box & Muller 1958, Ann. Math. Stat. 29
                radius = math.sqrt(-2.0 * math.log(uniform_01(random_word(key, 2 * s))))
                angle = 2.0 * math.pi * uniform_01(random_word(key, 2 * s + 1))
                steps[i, p, s] = np.int64(np.rint(centres[p] + sd * radius * math.cos(angle)))
