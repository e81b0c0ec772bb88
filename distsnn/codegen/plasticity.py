"""Variants of plasticity rules, and the layout of their tables.

`codegen.plastic_entries` generates the kernel entries.
"""

import importlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from distsnn.kernels import plastic

Floats = npt.NDArray[np.float64]


class RuleKernel(Protocol):
    """A rule's kernel module (see `distsnn.kernels.plasticity`)."""

    SOURCE: tuple[str, ...]
    TARGET: tuple[str, ...]
    STATES: tuple[str, ...]
    DECAYS: Mapping[str, str]
    CONSTANTS: Mapping[str, str]

    def constants(self, parameters: Mapping[str, Any], dt: float) -> dict[str, Floats]:
        """Return the constants."""


@dataclass(frozen=True)
class PlasticVariant:
    """Properties of a projection that determine its kernel entries.

    Parameters
    ----------
    kernel : str
        Import name of the rule's kernel module.
    precision : {"float32", "float64"}
        Type of weights, states and traces.
    word_bits, row_bits : {32, 64}
        Width of the words and of the input rows.
    per_synapse : tuple of str
        Constants that are arrays, one value per synapse.
    """

    kernel: str
    precision: str
    word_bits: int
    row_bits: int
    per_synapse: tuple[str, ...]


@dataclass(frozen=True)
class PlasticLayout:
    """Positions of rule-specific values in a projection's table and scalars.

    All variants of a rule share the positions: a constant may become an array, or a number, during
    a run.

    Attributes
    ----------
    states, per_synapse : mapping of str to int
        Positions in the table of the addresses of states and of constants per synapse.
    scalars : mapping of str to int
        Positions of the other constants in the scalars.
    observed_states, offsets : mapping of str to int
        Positions in the table of the addresses of the target states that the rule uses, and of
        their offsets (float64).
    """

    states: Mapping[str, int]
    per_synapse: Mapping[str, int]
    scalars: Mapping[str, int]
    observed_states: Mapping[str, int]
    offsets: Mapping[str, int]

    @property
    def size(self) -> int:
        """Length of the table."""
        groups = (self.states, self.observed_states, self.offsets, self.per_synapse, self.scalars)
        return plastic.TABLE_SIZE + sum(map(len, groups))

    @property
    def n_scalars(self) -> int:
        """Length of the scalars."""
        return plastic.N_SCALARS + len(self.per_synapse) + len(self.scalars)


def rule_kernel(name: str) -> RuleKernel:
    """Return a rule's kernel module by its import name."""
    return cast(RuleKernel, importlib.import_module(name))


def is_modulated(rule: RuleKernel) -> bool:
    """Return whether a third factor acts on synapses."""
    return getattr(rule, "MODULATED", False)


def changes_between_events(rule: RuleKernel) -> bool:
    """Return whether weights also change between events."""
    return hasattr(rule, "between")


def keeps_last_event(rule: RuleKernel) -> bool:
    """Return whether synapses store the step of their last event."""
    return changes_between_events(rule) or any(name in rule.DECAYS for name in rule.STATES)


def transmits(rule: RuleKernel) -> bool:
    """Return whether a spike of the source transmits a value other than the weight."""
    return getattr(rule, "TRANSMITS", False)


def n_draws(rule: RuleKernel) -> int:
    """Return the number of random words that a spike of the source uses at each synapse."""
    return getattr(rule, "DRAWS", 0)


def follows_targets(rule: RuleKernel) -> bool:
    """Return whether spikes or states of targets change synapses."""
    return getattr(rule, "ON_POST", True)


def initial_states(rule: RuleKernel) -> Mapping[str, str]:
    """Return the constants that are initial values of states; other states start at 0."""
    states: Mapping[str, str] = getattr(rule, "INITIAL", {})
    return states


def observed_states(rule: RuleKernel) -> tuple[str, ...]:
    """Return the states of its targets that a rule uses instead of their spikes."""
    states: tuple[str, ...] = getattr(rule, "WATCHED", ())
    return states


def n_levels(rule: RuleKernel) -> int:
    """Return how many values of a target's step act on synapses, for a rule that uses states."""
    return getattr(rule, "LEVELS", 1)


def plastic_layout(variant: PlasticVariant) -> PlasticLayout:
    """Return the table layout of a variant."""
    rule = rule_kernel(variant.kernel)
    words = itertools.count(plastic.TABLE_SIZE)
    states = {name: next(words) for name in rule.STATES}
    followed = {name: next(words) for name in observed_states(rule)}
    offsets = {name: next(words) for name in observed_states(rule)}
    arrays = {name: next(words) for name in rule.CONSTANTS}
    numbers = {name: position for position, name in enumerate(rule.CONSTANTS, plastic.N_SCALARS)}
    return PlasticLayout(
        states=states,
        per_synapse={name: arrays[name] for name in variant.per_synapse},
        scalars={
            name: position for name, position in numbers.items() if name not in variant.per_synapse
        },
        observed_states=followed,
        offsets=offsets,
    )
