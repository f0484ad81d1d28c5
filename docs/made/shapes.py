"""scriberrctl/shapes.py: what the API answers with, as the client sees it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from msgspec import inspect

from scriberrd.api.endpoints import ENDPOINTS
from scriberrd.model import TERMINAL, JobState

if TYPE_CHECKING:
    import enum
    from collections.abc import Iterator

NAMES = {  # where the daemon and its client look at a thing from two sides
    "CachedModel": "Model",
    "FailedView": "Failures",
    "InboxView": "Content",
    "Totals": "Library",
}
HEAD = f'''\
"""The JSON objects of the daemon's API. Made by `make docs` from the structs of the daemon."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

JobState = Literal[{", ".join(f'"{state}"' for state in JobState)}]
ENDED: frozenset[JobState] = frozenset(
    {{{", ".join(f'"{state}"' for state in JobState if state in TERMINAL)}}}
)
'''


def text() -> str:
    """The whole file."""
    known: dict[type, str] = {}
    for endpoint in ENDPOINTS:
        if endpoint.result is not None:
            _find(inspect.type_info(endpoint.result), known)
    return "\n\n".join([HEAD, *known.values()])


def _find(kind: inspect.Type, known: dict[type, str]) -> None:
    """Add the structs in a type, those first that others are made of."""
    for one in _within(kind):
        _find(one, known)
    if isinstance(kind, inspect.StructType) and kind.cls not in known:
        base = kind.cls.__base__
        if base.__struct_fields__:
            _find(inspect.type_info(base), known)
        known[kind.cls] = _struct(kind, base)


def _within(kind: inspect.Type) -> Iterator[inspect.Type]:
    match kind:
        case inspect.StructType():
            yield from (field.type for field in kind.fields)
        case inspect.UnionType():
            yield from kind.types
        case inspect.ListType() | inspect.VarTupleType():
            yield kind.item_type
        case inspect.DictType():
            yield kind.value_type


def _struct(kind: inspect.StructType, base: Any) -> str:
    fields = [one for one in kind.fields if one.name not in base.__struct_fields__]
    lines = [f"{field.encode_name}: {_spelled(field.type)}" for field in fields]
    parent = _name(base) if base.__struct_fields__ else "TypedDict"
    described = f'"""{(kind.cls.__doc__ or "").strip()}"""'
    body = textwrap.indent("\n".join([described, "", *lines]), "    ", lambda line: line != "\n")
    return f"class {_name(kind.cls)}({parent}):\n{body}\n"


def _name(struct: type) -> str:
    name = struct.__name__
    return NAMES.get(name) or name.removesuffix("View").removesuffix("Status") or "Status"


def _spelled(kind: inspect.Type) -> str:  # noqa: PLR0911 - a table of types
    match kind:
        case inspect.StructType():
            return _name(kind.cls)
        case inspect.EnumType(cls=cls):
            return "JobState" if cls is JobState else _literal(cls)
        case inspect.LiteralType():
            return f"Literal[{', '.join(map(_quoted, kind.values))}]"
        case inspect.NoneType():
            return "None"
        case inspect.ListType() | inspect.VarTupleType():
            return f"list[{_spelled(kind.item_type)}]"
        case inspect.DictType():
            many = isinstance(kind.value_type, inspect.UnionType)
            value = "Any" if many else _spelled(kind.value_type)
            return f"dict[{_spelled(kind.key_type)}, {value}]"
        case inspect.UnionType():
            # None comes last, as people write it.
            return " | ".join(sorted(map(_spelled, kind.types), key=lambda one: one == "None"))
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _literal(cls: type[enum.Enum]) -> str:
    return f"Literal[{', '.join(_quoted(one.value) for one in cls)}]"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
