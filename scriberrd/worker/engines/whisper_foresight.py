"""What of a configuration Whisper can't do, as far as it is known before a model is loaded."""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from faster_whisper.tokenizer import _LANGUAGE_CODES

from scriberrd.errors import TaskFailed
from scriberrd.worker import hub
from scriberrd.worker.engines import whisper_hub
from scriberrd.worker.engines.whisper_setup import choose_compute_type, choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.settings import Settings

KNOWN = range(1, 100)  # versions of the format of model.bin, which come first in it
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
END, ENGLISH_END = "<|endoftext|>", 50256  # a token, and its number in a vocabulary of English only

NEAR = 0.75  # how alike two words are, of 1, if one may be a typo of the other

# What people write instead of codes.
WRITTEN = {
    "en": ("english", "eng"),
    "de": ("german", "deutsch", "deu", "ger"),
    "fr": ("french", "francais", "fra", "fre"),
    "es": ("spanish", "espanol", "spa"),
    "it": ("italian", "ita"),
    "pt": ("portuguese", "por", "br"),
    "nl": ("dutch", "nld"),
    "zh": ("chinese", "mandarin", "cn"),
    "ja": ("japanese", "jp"),
    "ko": ("korean", "kr"),
    "uk": ("ukrainian", "ua"),
    "cs": ("czech", "cz"),
    "da": ("danish", "dk"),
    "sv": ("swedish", "se"),
    "el": ("greek", "gr"),
}


class _Tongues(NamedTuple):
    """What a model understands."""

    codes: frozenset[str]
    english: bool  # only


ALL = _Tongues(frozenset(_LANGUAGE_CODES), english=False)


def settings(wanted: Settings, model_cache: str) -> Iterator[tuple[str, str]]:
    """Each key of a profile that can't be as it is set, and why."""
    known = True
    for key in ("model", "fallback_model"):
        name: str = getattr(wanted, key)
        if name and (what := _no_model(name)):
            yield key, what
            known = known and key != "model"
    tongues = _tongues(wanted.model, model_cache) if known else ALL
    for key, codes in (("language", {wanted.language}), ("languages", {*wanted.languages})):
        for code in sorted(codes - {"auto"}):
            if code not in tongues.codes:
                yield key, f"no language has the code {code!r}{_meant(code, tongues.codes)}"
            elif tongues.english and code != "en":
                yield key, f"{wanted.model} understands English only, not {code!r}"
    if tongues.english and wanted.task == "translate":
        yield "task", f"{wanted.model} understands English only, so it can't translate"


def state(model: str, model_cache: str) -> str | None:
    """What a model lacks on this machine; "" if it is whole, None if there is none of this name."""
    folder = Path(model)
    try:
        if os.path.isabs(model):
            lacks = whisper_hub.missing(folder, folder.parent)
            return f"lacks {lacks}" if lacks else _damage(folder)
        repository = whisper_hub.repository(model)
        if repository is None:
            return None
        found = whisper_hub.cached(repository, hub.folder_of_cache(model_cache))
        return _damage(found) if found else "not in the cache"
    except TaskFailed as error:
        return error.detail


def _damage(folder: Path) -> str:
    """What can be seen of a damaged model without reading all of it."""
    for part in whisper_hub.PARTS:
        if not os.stat(folder / part).st_size:
            return f"{part} is empty"
    with Path(folder, "model.bin").open("rb") as file:
        if int.from_bytes(file.read(4), "little") not in KNOWN:
            return "model.bin is no model of CTranslate2"
    for part in ("config.json", "tokenizer.json"):
        try:
            json.loads(Path(folder, part).read_bytes())
        except ValueError:
            return f"{part} is damaged"
    return ""


def hardware(device: str, compute_type: str) -> Iterator[tuple[str, str]]:
    """Each key of a worker pool that can't be as it is set on this machine, and why."""
    key = "device"
    try:
        chosen = choose_device(device)
        key = "compute_type"
        choose_compute_type(compute_type, chosen)
    except TaskFailed as error:
        yield key, error.detail


def _no_model(name: str) -> str:
    """Why this is no model; "" if it may be one."""
    if os.path.isabs(name):
        folder = Path(name)
        try:
            there = os.path.isdir(folder)  # if not, that is told elsewhere
            lacks = whisper_hub.missing(folder, folder.parent) if there else ""
        except TaskFailed as error:
            return error.detail
        return f"the folder lacks {lacks}: it is no model of CTranslate2" if lacks else ""
    if whisper_hub.repository(name) is None:
        known = whisper_hub.names()
        near = difflib.get_close_matches(name, known.split(", "), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return (
            f"no model is called {name!r}; {hint}known models: {known};"
            ' or an id of the hub ("owner/name"), or a folder that begins with "/", "./" or "~"'
        )
    if "/" in name and not HUB_ID.fullmatch(name):
        return f'{name!r} is no id of the hub ("owner/name")'
    return ""


def _tongues(model: str, model_cache: str) -> _Tongues:
    """What a model understands: what its files say, or else its name."""
    english = model.endswith(".en")
    if (folder := _folder(model, model_cache)) is not None:
        try:
            added = json.loads(Path(folder, "tokenizer.json").read_bytes())["added_tokens"]
            tokens = {one["content"]: one["id"] for one in added}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # what is wrong with its files is told when they are looked at
        else:
            codes = {code for code in _LANGUAGE_CODES if f"<|{code}|>" in tokens}
            return _Tongues(frozenset(codes), tokens.get(END) == ENGLISH_END)
    return _Tongues(frozenset(_LANGUAGE_CODES), english)


def _folder(model: str, model_cache: str) -> Path | None:
    if os.path.isabs(model):
        return Path(model)
    repository = whisper_hub.repository(model)
    try:
        if repository is not None:
            return whisper_hub.cached(repository, hub.folder_of_cache(model_cache))
    except TaskFailed:
        pass  # as above
    return None


def _meant(code: str, codes: frozenset[str]) -> str:
    """The code that somebody may have meant with "en-US", "EN", "english" or "englsh"."""
    first = re.split("[-_]", code.lower())[0]
    named = {name: code for code, names in WRITTEN.items() for name in names}
    close = difflib.get_close_matches(first, named, 1, NEAR)
    near = first if first in codes else named[close[0]] if close else ""
    example = 'a code is like "en" or "de"'
    return f"; did you mean {near!r}?" if near in codes else f"; {example}"
