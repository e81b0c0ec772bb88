"""Neuron and synapse models by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from distsnn.errors import DescriptionError, closest_name, unknown_name_error
from distsnn.network.equations.declarations import EquationModelBase
from distsnn.network.model import PEERS, Model, Neuron, SynapseModel, parameter
from distsnn.network.model_docs import document

F = TypeVar("F", bound=Callable[..., Neuron])
M = TypeVar("M", bound=Model)
N = TypeVar("N", bound=Neuron)
S = TypeVar("S", bound=SynapseModel)

# Models of these modules are checked by a test: no start of a program waits for that.
_BUILT_IN = "distsnn.network."

# Models by name, filled where one is defined: stored descriptions contain names only.
_MODELS: dict[str, type[Neuron]] = {}
_SYNAPSES: dict[str, type[SynapseModel]] = {}


@dataclass(frozen=True)
class NeuronFunction:
    """A function that makes a neuron model of its arguments and returns neurons.

    Attributes
    ----------
    function : callable
        The function.
    peers : mapping of str to str
        As of `Model`.
    example : mapping of str to object
        Arguments with which its documentation shows equations.
    shipped : tuple of mapping of str to object
        Arguments of the models whose kernels are part of the package.
    """

    function: Callable[..., Neuron]
    peers: Mapping[str, str]
    example: Mapping[str, Any]
    shipped: tuple[Mapping[str, Any], ...]


_FUNCTIONS: dict[str, NeuronFunction] = {}  # of neurons, by their names


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(parameter,))
def neuron_model(cls: type[N]) -> type[N]:
    """Make a class a frozen dataclass and a neuron model that is found by its name.

    Raises
    ------
    DescriptionError
        If its name is taken, if it names parameters or receptors that it does not have, or if it
        has a parameter ``substeps``.
    """
    where = f"neuron model {cls.__qualname__}"
    model = dataclass(frozen=True, eq=False)(cls)
    model.derive()
    if "substeps" in model.parameters():
        # precision and warnings follow from the number of parts, which a parameter would hide
        raise DescriptionError(
            "a neuron model cannot have a parameter substeps, the number of parts of a step",
            where=where,
            hint="use SubsteppedNeuron as the base class, which has the field substeps",
        )
    return _register(model, _MODELS, where)


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(parameter,))
def synapse_model(cls: type[S]) -> type[S]:
    """Make a class a frozen dataclass and a synapse model that is found by its name.

    Raises
    ------
    DescriptionError
        If its name is taken, or if it names parameters that it does not have.
    """
    model = dataclass(frozen=True, eq=False)(cls)
    model.derive()
    return _register(model, _SYNAPSES, f"synapse model {cls.__qualname__}")


def neuron_function(
    peers: Mapping[str, str], shipped: Iterable[Mapping[str, Any]] = (), **example: object
) -> Callable[[F], F]:
    """Make a function that returns neurons known by its name.

    Parameters
    ----------
    peers : mapping of str to str
        Names of these neurons in other simulators, as of `Model`.
    shipped : iterable of mapping of str to object
        As of `NeuronFunction`; `codegen.built_in` writes the kernels.
    **example : object
        Arguments with which its documentation shows equations.

    Raises
    ------
    DescriptionError
        If `peers` names a simulator that is not one of `PEERS`, or has no name.
    """

    def register_function(function: F) -> F:
        _check_peers(peers, f"function {function.__name__}")
        _FUNCTIONS[function.__name__] = NeuronFunction(function, peers, example, tuple(shipped))
        return function

    return register_function


def _register(model: type[M], models: dict[str, Any], where: str) -> type[M]:
    if not isinstance(getattr(model, "name", None), str):
        raise DescriptionError("a model needs a class attribute `name`", where=where)
    if not model.__module__.startswith(_BUILT_IN):
        check_model(model, where)
    registered = models.get(model.name)
    # A user's file that is loaded once more replaces its own models.
    identity = (model.__module__, model.__qualname__)
    if registered is not None and (registered.__module__, registered.__qualname__) != identity:
        raise DescriptionError(
            f"the name is taken by {registered.__module__}.{registered.__qualname__}",
            where=where,
            value=model.name,
        )
    document(model, model.__doc__ or "")
    models[model.name] = model
    return model


def register(model: type[Model]) -> None:
    """Make a model known by its name that was decorated in another process."""
    models: dict[str, Any] = _MODELS if issubclass(model, Neuron) else _SYNAPSES
    models[model.name] = model


def check_registered(model: Model, *, where: str) -> None:
    """Check that the name of a model finds its class: other ranks and stores get the name only.

    Raises
    ------
    DescriptionError
        If not: the class has no decorator, or its name is that of its base class.
    """
    cls = type(model)
    registered = (_MODELS if isinstance(model, Neuron) else _SYNAPSES).get(model.name)
    # a model of equations is stored with them; a file that was loaded again has other classes
    if isinstance(model, EquationModelBase) or (
        registered is not None
        and (registered.__module__, registered.__qualname__) == (cls.__module__, cls.__qualname__)
    ):
        return
    kind = "neuron_model" if isinstance(model, Neuron) else "synapse_model"
    found = "no class" if registered is None else f"the class {registered.__name__}"
    raise DescriptionError(
        f"the class {cls.__name__} is not registered: its name {model.name!r} finds {found}",
        where=where,
        hint=f"put @{kind} before the class"
        + ("" if registered is None else ", and give it a name of its own"),
    )


def check_model(model: type[Model], where: str) -> None:
    """Check that a class names only parameters and receptors that it has, and known simulators.

    Raises
    ------
    DescriptionError
        If not.
    """
    parameters = model.parameters()
    for name, state in model.states.items():
        used = [state.relative_to, state.default if isinstance(state.default, str) else None]
        for name_used in used:
            if name_used is not None and name_used not in parameters:
                raise unknown_name_error(
                    "parameter", name_used, parameters, where=f"{where}, state {name}"
                )
    for name in (name for pair in model.ordered_parameters for name in pair):
        if name not in parameters:
            raise unknown_name_error("parameter", name, parameters, where=f"{where}, ordered")
    _check_peers(model.peers, where)
    if not issubclass(model, Neuron):
        return
    for field in ("signed_receptors", "allowed_weights"):
        for receptor in getattr(model, field) or ():
            if receptor not in model.receptors:
                raise unknown_name_error(
                    "receptor", receptor, model.receptors, where=f"{where}, {field}"
                )


def _check_peers(peers: Mapping[str, str], where: str) -> None:
    for peer, names in peers.items():
        if peer not in PEERS:
            raise unknown_name_error("simulator", peer, PEERS, where=f"{where}, peers")
        if not isinstance(names, str) or not names.strip():
            raise DescriptionError(
                "must be a name",
                where=f"{where}, peers, {peer!r}",
                value=names,
                allowed="a name, or a text with names within backticks",
            )


def get_neuron_model(name: str) -> type[Neuron]:
    """Return the neuron model of a name.

    Raises
    ------
    DescriptionError
        If it does not exist; the message names the closest one.
    """
    if name not in _MODELS:
        raise unknown_name_error("neuron model", name, _MODELS)
    return _MODELS[name]


def model_names() -> list[str]:
    """Return the names of all neuron models, sorted."""
    return sorted(_MODELS)


def get_synapse_model(name: str) -> type[SynapseModel]:
    """Return the synapse model of a name.

    Raises
    ------
    DescriptionError
        If it does not exist; the message names the closest one.
    """
    if name not in _SYNAPSES:
        raise unknown_name_error("synapse model", name, _SYNAPSES)
    return _SYNAPSES[name]


def synapse_models() -> list[type[SynapseModel]]:
    """Return the classes of all synapse models, sorted by name."""
    return [_SYNAPSES[name] for name in sorted(_SYNAPSES)]


def neuron_functions() -> dict[str, NeuronFunction]:
    """Return the functions that return neurons of models of their own, by name, sorted."""
    return dict(sorted(_FUNCTIONS.items()))


def nearest_synapse_class(name: str) -> str | None:
    """Return the class of synapses whose name, or whose model's name, is most like a name."""
    classes = {name: model.__name__ for name, model in _SYNAPSES.items()}
    classes |= {model: model for model in classes.values()}
    closest = closest_name(name, sorted(classes))
    return closest and classes[closest]
