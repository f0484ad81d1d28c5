"""How faithful the text is: scriberrd beside bare faster-whisper, on real voices.

docs/faith.md says what the figures mean and how a folder of voices is laid out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import odd
import speed
import systems
import tables
import voices
from measures import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from systems import Bare, Heard, Scriberrd
    from voices import Sound

ENGLISH = ".en"  # the end of a model's name that knows nothing else


def main() -> None:
    given = _arguments()
    heard = voices.read(given.voices)
    if given.speed:
        speed.main(heard)
        return
    sounds = (odd.sounds if given.odd else voices.long)(heard)
    sounds = [sound for sound in sounds if given.only in sound.name]
    rows = []
    for model in given.models:
        mine = [s for s in sounds if s.language == "en" or not model.endswith(ENGLISH)]
        rows.append(list(_rows(model, mine, given)))
        tables.errors(model, rows[-1])
        tables.faults(rows[-1])
        tables.judgement(model, rows[-1])
    if given.json:
        found = {model: tables.as_json(its) for model, its in zip(given.models, rows, strict=True)}
        given.json.write_text(json.dumps(found, ensure_ascii=False))


def _rows(model: str, sounds: list[Sound], given: argparse.Namespace) -> Iterator[tables.Row]:
    measured: list[Bare | Scriberrd] = [*systems.bare(model, 1)]
    measured += systems.ours(model, everything=given.all)
    for sound in sounds:
        beside: Heard | None = None  # the first of them
        for system in measured:
            print(f"{model}: {sound.name}: {system.name} ...", flush=True)
            heard = system.hear(sound, "auto" if given.detect else sound.language)
            yield tables.Row(system.name, sound, heard, measure(sound, heard, beside))
            beside = beside or heard


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voices", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--models", nargs="+", default=["base", "tiny.en"])
    parser.add_argument("--all", action="store_true", help="the matrix of threads, blocks, batches")
    parser.add_argument("--odd", action="store_true", help="silence, noise, damaged speech instead")
    parser.add_argument("--speed", action="store_true", help="only speed; leave the cores idle")
    parser.add_argument("--detect", action="store_true", help="do not tell the language")
    parser.add_argument("--only", default="", help="a part of the names of the sounds to measure")
    parser.add_argument("--json", type=Path, help="a file for all figures and texts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
