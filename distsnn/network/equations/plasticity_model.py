"""Rules of plasticity that a user writes as equations."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, ClassVar

from distsnn.errors import DescriptionError
from distsnn.network.base import Description, FrozenMapping, class_that_sets, derived
from distsnn.network.equations.declarations import (
    EquationModelBase,
    as_parameters,
    as_texts,
    check_kinds,
    check_time_constants,
    make_model_class,
    parameter_fields,
    titled_lines,
)
from distsnn.network.equations.dimensions import unit_named
from distsnn.network.equations.plasticity import (
    Plasticity,
    changes,
    read_plasticity,
)
from distsnn.network.equations.statements import Definition
from distsnn.network.equations.target_states import BOUNDS, MODULATOR, POST, PRE, SYNAPSE
from distsnn.network.model import State, kernel_module_of
from distsnn.network.plastic_synapse import (
    AUTO,
    ModulatedSynapse,
    PlasticSynapse,
    StateDrivenSynapse,
    small,
)
from distsnn.network.values import Value

# Where built-in rules are.
_BUILT_IN = "distsnn.network.synapses."
# Further names that a class or its constructor has.
_RESERVED = ("model", "name", "self")
# What has a variable, by its flag.
_OWNERS = {PRE: "of a source", POST: "of a target", SYNAPSE: "of a synapse", MODULATOR: "modulator"}
_TEXTS = ("traces", "on_pre", "on_post", "on_step", "on_modulator", "transmit")


class EquationSynapse(PlasticSynapse):
    """Base class of plastic synapses whose rule is written as equations.

    A class decorated with `synapse_model` gives its text as `equations`, and its parameters as
    fields; calling a `PlasticityModel` makes such a class at run time.

    Attributes
    ----------
    equations : RuleEquations
        The text, in a class that is not made of a `PlasticityModel`. The unit ``weight`` in its
        parameters counts as 1: its weights are in the unit of the target's input.
    model : PlasticityModel
        The text with the parameters.
    models : mapping of str to PlasticityModel
        The rules of a class that has several, by the name of their kernel module.
    """

    equations: ClassVar["RuleEquations"]
    models = derived(lambda cls: _models_of(cls))
    model = derived(lambda cls: next(iter(cls.models.values())))
    states = derived(lambda cls: cls.model.states())
    per_synapse = derived(lambda cls: _per_synapse_of(cls))
    scheme = derived(lambda cls: _scheme_of(cls.model.rule))

    @classmethod
    def rules(cls) -> Mapping[str, "RuleEquations"]:
        """Return the texts by the name of their kernel module."""
        return {cls.name: cls.equations}

    @classmethod
    def derive(cls) -> None:
        """Set the kernel module of a built-in rule, and check the text of any other."""
        if "equations" in vars(cls):
            is_built_in = cls.__module__.startswith(_BUILT_IN)
            cls.kernel = kernel_module_of("plasticity", cls.name) if is_built_in else ""
            if not is_built_in:
                check_time_constants(cls, cls.model.rule.least_time_constants())

    @classmethod
    def documented_states(cls) -> dict[str, tuple[State, str]]:
        """Return the traces, states of synapses and modulators of all rules by name."""
        states: dict[str, tuple[State, str]] = {}
        for model in cls.models.values():
            for name, definition in model.rule.variables.items():
                state = _state_of(definition)
                states.setdefault(name, (state, _OWNERS[definition.flag]))
        return states

    @classmethod
    def equation_lines(cls) -> list[str]:
        """Return the lines of traces and of what spikes do, of each rule."""
        lines = []
        for name, model in cls.models.items():
            lines += [f"# {name}"] if len(cls.models) > 1 else []
            lines += titled_lines(model.fields())
        return lines

    def weight_type(self, weight: Value | None) -> str:  # noqa: D102 (inherited)
        # states alone follow spikes: nothing adds up
        if self.precision == AUTO and not self.model.rule.learns:
            return "float32"
        return super().weight_type(weight)

    def steps(self, weight: float) -> Iterable[float]:
        """Return the changes of a weight by spikes of source and target in turn, 10 ms apart.

        A modulator is 1, or what one spike of a modulating neuron makes it.
        """
        # unknown: what its target's states will be, and how small a change between spikes is
        if self.model.rule.watch or self.model.rule.drift:
            return []
        values = {name: small(getattr(self, name)) for name in self.parameters()}
        bounds = {"w_min": self.min_magnitude, "w_max": max(self.max_magnitude, weight)}
        return changes(self.model.rule, values | bounds, weight, getattr(self, "modulator", ""))


class WatchingEquationSynapse(EquationSynapse, StateDrivenSynapse):
    """Base class of such synapses whose rule sees states of the target."""

    observed_states = derived(lambda cls: tuple(cls.model.rule.watch.states.values()))
    delayed_states = derived(lambda cls: cls.model.rule.watch.delay)

    def check_target(  # noqa: D102 (inherited)
        self, states: Mapping[str, State], target: str, *, where: str
    ) -> None:
        super().check_target(states, target, where=where)
        for name in self.observed_states:
            unit, actual_unit = self.model.target[name], states[name].unit
            if unit_named(unit, f"target, {name!r}") != unit_named(actual_unit, f"state {name}"):
                raise DescriptionError(
                    f"{self.name} sees the state {name} of its target in another unit",
                    where=where,
                    value=unit,
                    allowed=actual_unit,
                )


def _models_of(cls: type[EquationSynapse]) -> dict[str, "PlasticityModel"]:
    """Return the texts of a class with the parameters that are its fields.

    A subclass without a text has its base's, whatever it makes of the parameters.
    """
    if "equations" not in vars(cls):
        inherited: dict[str, PlasticityModel] = class_that_sets(cls, "equations").models
        return inherited
    model_class = _BuiltInRule if cls.kernel else PlasticityModel
    parameters = {
        name: (getattr(cls, name), _unit(parameter.unit), str(parameter.allowed))
        for name, parameter in cls.parameters().items()
    }
    return {
        name: model_class(
            **texts.fields(),
            target=texts.target,
            parameters=parameters,
            weight_unit="1",
            name=name,
        )
        for name, texts in cls.rules().items()
    }


def _scheme_of(rule: Plasticity) -> str:
    text = "Traces and states of synapses follow exactly from event to event"
    if rule.watch:
        text += (
            "; on step: after each step of the target in which one of the values that it uses is "
            "not 0"
        )
    return f"{text}."


def _state_of(definition: Definition) -> State:
    return State(definition.unit_text, definition.comment or definition.text)


def _per_synapse_of(cls: type[EquationSynapse]) -> tuple[str, ...]:
    free = cls.model.rule.per_synapse
    return tuple(name for name in (*cls.parameters(), *BOUNDS) if name in free)


def _unit(text: str) -> str:
    """Return the unit of a parameter of a rule for weights of any unit."""
    return re.sub(r"\bweight\b(\^\([^()]*\))?", "1", text)


class _MadeSynapse(EquationModelBase, EquationSynapse):
    """Base class of what calling a `PlasticityModel` makes: synapses with values of parameters."""


class _MadeModulatedSynapse(_MadeSynapse, ModulatedSynapse):
    """Base class of such synapses where the rule has a modulator."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modulator and not self.model.on_modulator.strip():
            raise DescriptionError(
                "the rule does not define the effect of spikes on its modulator",
                where=f"{self.name}, field modulator",
                value=self.modulator,
                allowed="'', or a rule with on_modulator",
            )


@dataclass(frozen=True, eq=False)
class RuleEquations(Description):
    """Equations of a plasticity rule, whose parameters are the fields of a class.

    In the texts ``w`` is the weight, a magnitude, and ``w_max`` and ``w_min`` its bounds. A
    weight beyond them stops the run: rules are to clip it.

    Parameters
    ----------
    traces : str
        Lines ``dNAME/dt = -NAME/TAU : UNIT (WHOSE)`` for variables that decay with a parameter as
        their time constant, and ``dNAME/dt = 0 : UNIT (WHOSE)`` for others. States of the synapse
        may relax, ``dNAME/dt = (EXPRESSION - NAME)/TAU : UNIT (synapse)``, to an expression of
        parameters and of states that decay to 0; they begin at it. WHOSE is ``pre`` for
        traces of the source's spikes, ``post`` for the target's, ``synapse`` for states of the
        synapse, ``modulator`` for one variable that all synapses share: a signal that is set
        between runs, or a trace of the spikes of a population. Lines ``NAME = EXPRESSION : UNIT``
        are sub-expressions.
    on_pre, on_post : str
        Assignments at a spike of the source and of the target, ``NAME = EXPRESSION`` or with
        ``+=``, ``-=``, ``*=``, ``/=``, parted by line ends or semicolons and done in this order:
        to traces of the neuron that spikes, to states of the synapse and to w. Traces of the other
        neuron contain strictly earlier spikes. Other names are local variables. Random
        numbers in ``on_pre`` and ``transmit`` are ``uniform()`` between 0 and 1, standard
        ``normal()``, a Poisson count ``poisson(MEAN)``, and ``binomial(N, P)``, the number of
        successes among N trials.
    on_step : str
        Assignments after each step of the target in which a value that they use is not 0, for
        rules that see states of the target: in place of ``on_post``. Such values are lines ``NAME =
        EXPRESSION : UNIT (post)`` of ``traces``, of parameters and of states ``STATE_post`` at the
        end of the step, or ``delayed(STATE_post, PARAMETER)`` for the state that long before.
        ``on_step`` uses one or several of these values, and ``on_pre`` at most one, as it is where
        and when the source's spike arrives.
    target : mapping of str to str
        Units of the target's states that the rule sees.
    on_modulator : str
        Assignments to the modulator at a spike of the population that is named as ``modulator``.
    transmit : str
        The weight that a spike of the source transmits, after ``on_pre``; empty: ``w``. It is a
        magnitude, from 0 to the largest bound of the projection's weights; any other stops the
        run.
    """

    traces: str = ""
    on_pre: str = ""
    on_post: str = ""
    on_modulator: str = ""
    transmit: str = ""
    on_step: str = ""
    target: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kinds(self, texts=_TEXTS, mappings=("target",))
        self._fill(
            **as_texts(self, *_TEXTS),
            # sorted: kernels and stored states must not depend on the order in which it is written
            target=FrozenMapping(dict(sorted(self.target.items()))),
        )

    def fields(self) -> dict[str, str]:
        """Return the texts by name."""
        return {name: getattr(self, name) for name in _TEXTS}


@dataclass(frozen=True, eq=False)
class PlasticityModel(RuleEquations):
    """A rule of plasticity written as equations.

    It stands wherever a built-in model of plastic synapses does. Called, it gives synapses with
    other values of its parameters and of those that all plastic synapses have:
    ``rule(w_max=200.0, tau_plus=10.0)``.

    Parameters
    ----------
    traces, on_pre, on_post, on_modulator, transmit, on_step, target
        The text, as of `RuleEquations`.
    parameters : mapping of str to (value, unit) or (value, unit, range)
        Default (a number or a distribution), unit and allowed range, e.g. ``(10.0, "ms", "> 0")``.
    weight_unit : str
        Unit of the weights, which must be the unit of the target's input.
    name : str
        Name in errors.

    Raises
    ------
    DescriptionError
        If something is wrong; for a text the error shows the place.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    weight_unit: str = "pA"
    name: str = "equations"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self, texts=("weight_unit",), mappings=("parameters",))
        self._fill(parameters=as_parameters(self.parameters))
        self._check()

    def _check(self) -> None:
        """Read the rule, and check that its parameters have ranges."""
        _ = self.synapse

    def states(self) -> dict[str, State]:
        """Return the states of a synapse besides its weight."""
        variables = self.rule.variables
        return {name: _state_of(variables[name]) for name in self.rule.with_flag(SYNAPSE)}

    @cached_property
    def rule(self) -> Plasticity:
        """The texts, read and checked."""
        return read_plasticity(
            traces=self.traces,
            on_pre=self.on_pre,
            on_post=self.on_post,
            on_step=self.on_step,
            target=self.target,
            on_modulator=self.on_modulator,
            transmit=self.transmit,
            weight_unit=self.weight_unit,
            parameters={name: spec[1] for name, spec in self.parameters.items()},
            reserved=[*dir(_MadeModulatedSynapse), *_RESERVED],
        )

    @property
    def synapse(self) -> type[EquationSynapse]:
        """The class of synapses with this rule's parameters as fields."""
        return _synapse_class(self)

    def __call__(self, **values: Any) -> EquationSynapse:
        """Return synapses with this rule.

        Parameters
        ----------
        **values : float or Distribution
            Parameters that differ from their defaults, and w_max, w_min, axonal_delay and
            precision; with a modulator also modulator and modulation_delay.

        Raises
        ------
        DescriptionError
            If a parameter does not exist, or a value is not valid.
        """
        return self.synapse(**values)


class _BuiltInRule(PlasticityModel):
    """The equations of a built-in rule: a test has checked them."""

    def _check(self) -> None:
        pass


@cache  # equal rules share a class, so that their synapses compare equal
def _synapse_class(model: PlasticityModel) -> type[EquationSynapse]:
    rule = model.rule
    return make_model_class(
        model,
        (
            _MadeModulatedSynapse if rule.with_flag(MODULATOR) else _MadeSynapse,
            *([WatchingEquationSynapse] if rule.watch else []),
        ),
        parameter_fields(model.name, model.parameters, min_ranges=rule.least_time_constants()),
        f"Synapses with the rule {model.name}, which is written as equations.",
        models={model.name: model},
        weight_unit=model.weight_unit,
        per_synapse=rule.per_synapse,
        states=model.states(),
    )
