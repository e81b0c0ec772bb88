"""Declarations of models from equations, besides their texts: names, parameters, ranges."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, make_dataclass, replace
from typing import Any, ClassVar

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.base import FrozenMapping
from distsnn.network.checks import ANY, Interval
from distsnn.network.distributions import Distribution
from distsnn.network.model import Model, Parameter, parameter_field
from distsnn.network.model_docs import document
from distsnn.network.values import Value, as_value, check_value

# A parameter's default, unit and range, e.g. (10.0, "ms", "> 0").
ParameterSpec = tuple[float | Distribution, str, str]


class EquationModelBase:
    """Base class of instances whose class is created at run time from a model from equations.

    Attributes
    ----------
    model : Description
        The model; called with the values of its parameters it gives instances.
    """

    model: ClassVar[Any]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, dict[str, Any]]]:
        # pickle finds no such class
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return _model_repr, (self.model, values)


def _model_repr(model: Any, values: dict[str, Any]) -> Any:
    return model(**values)


def check_kinds(model: object, *, texts: tuple[str, ...], mappings: tuple[str, ...]) -> None:
    """Check that some fields of a model are texts and others mappings, and that a name is one.

    Raises
    ------
    DescriptionError
        For the first that is not.
    """
    name = getattr(model, "name", "model")
    for field_name, value in (
        *((field_name, getattr(model, field_name)) for field_name in texts),
        ("name", name),
    ):
        if not isinstance(value, str):
            raise DescriptionError("must be text", where=field_name, value=value)
    if not name.isidentifier():
        raise DescriptionError("must be a name", where="name", value=name)
    for field_name in mappings:
        if not isinstance(getattr(model, field_name), Mapping):
            raise DescriptionError(
                "must be a mapping", where=field_name, value=getattr(model, field_name)
            )


def as_texts(model: object, *names: str) -> dict[str, str]:
    """Return texts of a model with uniform line ends, so that equal models compare equal."""
    return {name: as_text(getattr(model, name)) for name in names}


def as_events(events: Mapping[str, Any]) -> FrozenMapping[tuple[str, str]]:
    """Return the events of a model, by name: of each its condition and its statements.

    Raises
    ------
    DescriptionError
        If one is not two texts.
    """
    as_names(list(events), where="events")
    checked = {}
    for name, event in sorted(events.items()):
        where = f"events, {name!r}"
        is_pair = isinstance(event, list | tuple) and len(event) == 2
        if not (is_pair and all(isinstance(text, str) for text in event)):
            raise DescriptionError(
                "must be a condition and statements",
                where=where,
                value=event,
                allowed='such as ("V_m < V_min", "V_m = V_min")',
            )
        checked[name] = (as_text(event[0]), as_text(event[1]))
    return FrozenMapping(checked)


def as_text(text: str) -> str:
    """Return a text with line ends of one kind."""
    return re.sub("\r\n?", "\n", text)


def as_names(value: Any, *, where: str) -> tuple[str, ...]:
    """Return names, given as one or as a sequence.

    Raises
    ------
    DescriptionError
        If they are none.
    """
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise DescriptionError("must be names", where=where, value=value)
    return tuple(names)


def as_parameters(specs: Mapping[str, Any]) -> FrozenMapping[ParameterSpec]:
    """Return the parameters of a model, in one order however equal models are written.

    Raises
    ------
    DescriptionError
        If one is not a value with its unit and, perhaps, range.
    """
    as_names(list(specs), where="parameters")
    return FrozenMapping({name: _parameter(name, specs[name]) for name in sorted(specs)})


def parameter_fields(
    model: str,
    parameters: Mapping[str, ParameterSpec],
    *,
    min_ranges: Mapping[str, Interval],
    multiples_of_dt: tuple[str, ...] = (),
) -> list[tuple[str, Any, Any]]:
    """Return the fields of a class with these parameters, for `make_dataclass`.

    Parameters
    ----------
    model : str
        The model's name.
    parameters : mapping of str to (value, unit, range)
        The parameters.
    min_ranges : mapping of str to Interval
        Additional lower bounds of some parameters.
    multiples_of_dt : tuple of str
        Those that are multiples of dt.
    """
    declarations = []
    for name, (default, unit, text) in parameters.items():
        allowed = parse_range(text, where=f"parameters, {name!r}")
        bound = min_ranges.get(name)
        if bound is not None and allowed.starts_below(bound):
            allowed = replace(allowed, low=bound.low, open_low=bound.open_low)
            check_value(default, allowed, where=f"parameters, {name!r}, default")
        parameter = Parameter(
            unit, f"parameter of {model}", allowed, multiple_of_dt=name in multiples_of_dt
        )
        declarations.append((name, Value, parameter_field(default, parameter)))
    return declarations


def make_model_class(
    model: Any,
    bases: tuple[type, ...],
    parameters: list[tuple[str, Any, Any]],
    meaning: str,
    **attributes: Any,
) -> type:
    """Return the class of what calling a model makes, with its parameters as fields.

    Parameters
    ----------
    model : NeuronModel, PlasticityModel or TransmissionModel
        The model.
    bases : tuple of type
        Base classes.
    parameters : list of (str, type, Field)
        Of `parameter_fields`.
    meaning : str
        First line of the documentation.
    **attributes
        Further attributes of the class.
    """
    made = make_dataclass(
        model.name,
        parameters,
        bases=bases,
        namespace={
            "__module__": type(model).__module__,
            "__doc__": model.name,
            "model": model,
            "name": model.name,
            **attributes,
        },
        frozen=True,
        eq=False,
    )
    document(made, meaning)
    return made


def _parameter(name: str, declaration: Any) -> ParameterSpec:
    where = f"parameters, {name!r}"
    spec = tuple(declaration) if isinstance(declaration, tuple | list) else ()
    if len(spec) not in (2, 3) or not all(isinstance(text, str) for text in spec[1:]):
        raise DescriptionError(
            "must be a value with its unit",
            where=where,
            value=declaration,
            allowed='such as (10.0, "ms") or (10.0, "ms", "> 0")',
        )
    value = as_value(spec[0], where=where)
    if isinstance(value, np.ndarray):
        raise DescriptionError(
            "a default is one value for all",
            where=where,
            allowed="a number or a distribution",
            hint=f"give an array when you create the model: model({name}=...)",
        )
    allowed = spec[2] if len(spec) == 3 else ""
    check_value(value, parse_range(allowed, where=where), where=f"{where}, default")
    return value, spec[1], allowed


def check_time_constants(model: type[Model], min_ranges: Mapping[str, Interval]) -> None:
    """Check that a synapse model's class keeps its time constants above 0, or not negative.

    Raises
    ------
    DescriptionError
        If it allows others.
    """
    for name, min_range in min_ranges.items():
        if model.parameters()[name].allowed.starts_below(min_range):
            limit = "above" if min_range.open_low else "low"
            raise DescriptionError(
                f"a time constant must be {'above 0' if min_range.open_low else '0 or more'}",
                where=f"synapse model {model.__qualname__}, field {name}",
                hint=f"declare it as parameter(..., {limit}=0.0)",
            )


def titled_lines(texts: Mapping[str, str]) -> list[str]:
    """Return the lines of a synapse model's texts, each text below its name."""
    lines = []
    for title, text in texts.items():
        stripped = [line.strip() for line in text.splitlines() if line.strip()]
        if stripped:
            lines += [f"{title.replace('_', ' ')}:", *(f"    {line}" for line in stripped)]
    return lines


def parse_range(text: str, *, where: str) -> Interval:
    """Return the range that a text such as ``"> 0 and <= 1"`` stands for.

    Raises
    ------
    DescriptionError
        If it stands for none.
    """
    bounds: dict[str, Any] = {}
    for part in text.split("and") if text.strip() not in ("", str(ANY)) else ():
        sign = part.strip().rstrip("+-.0123456789eE ")
        side = {">": "low", ">=": "low", "<": "high", "<=": "high"}.get(sign)
        try:
            bound = float(part.strip().removeprefix(sign))
        except ValueError:
            side = None
        if side is None or side in bounds:
            raise DescriptionError(
                "not a range", where=where, value=text, allowed='such as "> 0" or ">= 0 and < 1"'
            )
        bounds[side], bounds[f"open_{side}"] = bound, "=" not in sign
    allowed = Interval(**bounds)
    if allowed.is_empty:
        raise DescriptionError("no value is in this range", where=where, value=text)
    return allowed
