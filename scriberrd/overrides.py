"""What is ordered over a profile for one recording: `--set KEY=VALUE`, checked as a profile is.

A model, an engine or a diarizer is chosen only by naming a profile: whoever may drop a recording
must not choose what code is loaded for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args, get_origin

import msgspec
from msgspec import inspect

from scriberrd.errors import InvalidRequest
from scriberrd.settings import Settings, conflicts
from scriberrd.toml import allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SETTABLE = (
    *("language", "languages", "task", "prompt", "hotwords"),
    *("diarize", "speakers", "min_speakers", "max_speakers", "formats", "priority"),
)
ALIASES = {"prompt": "initial_prompt"}
TYPES = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def read(texts: Iterable[str]) -> dict[str, str]:
    """What each "KEY=VALUE" sets; of one key the last counts. Without a value, it is the profile's.

    Raises:
        InvalidRequest: a text has no "=", or its key can't be set.
    """
    given = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidRequest(f"set: {text!r} is not KEY=VALUE")
        key = ALIASES.get(name, name)
        if name not in SETTABLE and name not in ALIASES.values():
            what = "only a profile sets it: name one" if key in TYPES else "unknown key"
            raise InvalidRequest(f"set: {name}: {what}; to set are: {', '.join(SETTABLE)}")
        given[key] = value
    return given


def apply(settings: Settings, given: Mapping[str, str]) -> Settings:
    """The settings with what is given over them; lists are separated by commas, "" sets nothing.

    Raises:
        InvalidRequest: a value is not allowed, or not beside those of other keys.
    """
    changed = {key: _value(key, text) for key, text in given.items() if text}
    return checked(msgspec.structs.replace(settings, **changed))


def checked(settings: Settings) -> Settings:
    """The same, if its values can stand beside each other; otherwise InvalidRequest."""
    for key, what in conflicts(settings):
        raise InvalidRequest(f"{key}: {what}")
    return settings


def _value(key: str, text: str) -> object:
    kind = TYPES[key]
    if get_origin(kind) is tuple:
        return tuple(_converted(key, get_args(kind)[0], one.strip()) for one in text.split(","))
    return _converted(key, kind, text)


def _converted(key: str, kind: type, text: str) -> object:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        what = allowed(inspect.type_info(kind))
        raise InvalidRequest(f"{key}: {text!r} is not {what}") from error
