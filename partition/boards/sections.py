"""The sections of a board's description that hold figures: chip, core, router, links, energy."""

from dataclasses import dataclass

from distsnn.partition.boards.figures import Figure, amount, count, flag, names, one_of

MULTICAST, UNICAST, ONE_AXON = "multicast", "unicast", "one_axon"
SCHEMES = (MULTICAST, UNICAST, ONE_AXON)
# Instead of a list of models: whatever fits, as cores run programs.
ANY_MODEL = "any"
# Which weights share a scale.
PER_RECEPTOR, PER_PROJECTION = "receptor", "projection"


@dataclass(frozen=True)
class Chip:
    """What each node of the topology holds.

    Parameters
    ----------
    cores : Figure of int
        Cores, the reserved ones included.
    reserved : Figure of int
        Cores that cannot host neurons.
    shared_memory : Figure of int
        Memory for synapses that its cores share, bytes.
    """

    cores: Figure[int] = count(low=1)
    reserved: Figure[int] = count()
    shared_memory: Figure[int] = count()


@dataclass(frozen=True)
class Core:
    """What one core can hold.

    Parameters
    ----------
    max_neurons : Figure of int
        Neurons.
    populations : Figure of int
        Populations whose neurons may share the core.
    in_axons : Figure of int
        Distinct neurons whose spikes it can receive.
    out_axons : Figure of int
        Pairs of one of its neurons and a core that receives its spikes.
    fan_in, fan_out : Figure of int
        Synapses onto one neuron; synapses or destinations of one neuron.
    neuron_memory, synapse_memory : Figure of int
        The core's own memory for neurons and for synapses, bytes.
    bytes_per_neuron, bytes_per_row, bytes_per_synapse : Figure of float
        What a neuron, the header of a source's row, and a synapse take.
    weight_bits : Figure of int
        Bits of a weight's size; one of them is the sign's where weights of both signs share a
        scale.
    weight_scale : Figure of str
        Which weights share a scale, a power of two: those onto one ``receptor`` of a population,
        or those of one ``projection``.
    delay_steps : Figure of int
        The longest delay, steps.
    models : Figure of tuple of str
        Neuron models it can run, by name; ``any`` where cores run programs.
    recurrent : Figure of bool
        Whether neurons may reach themselves through others.
    plastic : Figure of bool
        Whether synapses can learn.
    """

    max_neurons: Figure[int] = count(low=1)
    populations: Figure[int] = count(low=1)
    in_axons: Figure[int] = count()
    out_axons: Figure[int] = count()
    fan_in: Figure[int] = count()
    fan_out: Figure[int] = count()
    neuron_memory: Figure[int] = count()
    synapse_memory: Figure[int] = count()
    bytes_per_neuron: Figure[float] = amount()
    bytes_per_row: Figure[float] = amount()
    bytes_per_synapse: Figure[float] = amount()
    weight_bits: Figure[int] = count(low=1)
    weight_scale: Figure[str] = one_of(PER_RECEPTOR, PER_PROJECTION)
    delay_steps: Figure[int] = count(low=1)
    models: Figure[tuple[str, ...]] = names()
    recurrent: Figure[bool] = flag()
    plastic: Figure[bool] = flag()


@dataclass(frozen=True)
class Router:
    """How packets find their way.

    Parameters
    ----------
    scheme : Figure of str
        ``multicast``: one packet a spike, copied by tables of keys and masks; ``unicast``: one
        packet for each core that is reached; ``one_axon``: a neuron reaches one core.
    entries : Figure of int
        Entries of a multicast table.
    key_bits : Figure of int
        Bits of a key.
    default_route : Figure of bool
        Whether a packet that no entry matches goes straight on.
    """

    scheme: Figure[str] = one_of(*SCHEMES)
    entries: Figure[int] = count(low=1)
    key_bits: Figure[int] = count(low=1)
    default_route: Figure[bool] = flag()


@dataclass(frozen=True)
class Links:
    """What a link between two nodes can do.

    Parameters
    ----------
    bandwidth : Figure of float
        Packets/s in each direction.
    latency : Figure of float
        Time of one hop, s.
    """

    bandwidth: Figure[float] = amount()
    latency: Figure[float] = amount()


@dataclass(frozen=True)
class Energy:
    """What is spent on what, in J, and powers in W.

    Parameters
    ----------
    synaptic_event : Figure of float
        One spike arriving at one synapse, J.
    neuron_update : Figure of float
        One neuron for one time step, J.
    neuron_spike : Figure of float
        One neuron that spikes, beyond its update, J.
    packet_out : Figure of float
        One packet that leaves a core, J.
    hop_x, hop_y : Figure of float
        One packet over one link along x, or along another direction, J.
    idle_chip : Figure of float
        A chip that is switched on, W.
    active_core : Figure of float
        A core that works, beyond the idle chip, W.
    """

    synaptic_event: Figure[float] = amount()
    neuron_update: Figure[float] = amount()
    neuron_spike: Figure[float] = amount()
    packet_out: Figure[float] = amount()
    hop_x: Figure[float] = amount()
    hop_y: Figure[float] = amount()
    idle_chip: Figure[float] = amount()
    active_core: Figure[float] = amount()
