"""The figures as tables in Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import aligned, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from measures import Figures
    from systems import Heard
    from voices import Sound

WORSE = 0.3  # points: what is worse than the best of the others by more is named


@dataclass(frozen=True)
class Row:
    """One system on one sound."""

    system: str
    sound: Sound
    heard: Heard
    figures: Figures


def share(rows: Iterable[Row]) -> float:
    """Word errors in percent."""
    rows = list(rows)
    return 100 * sum(row.figures.errors for row in rows) / sum(row.figures.words for row in rows)


def errors(model: str, rows: list[Row]) -> None:
    """Word errors of each system on each sound; of sounds without words, how many were invented."""
    sounds = list(dict.fromkeys(row.sound.name for row in rows))
    lines = []
    for system, its in _by_system(rows):
        cells = [_error(row) for row in its]
        spoken = [row for row in its if row.figures.words]
        lines.append([system, *cells, f"{share(spoken):.2f}" if spoken else ""])
    table(f"{model}: word errors in %, or words where nobody speaks", ["", *sounds, "all"], lines)


def _error(row: Row) -> str:
    return f"{share([row]):.2f}" if row.figures.words else f"{row.figures.invented} words"


def faults(rows: list[Row]) -> None:
    """What else is wrong, over all sounds."""
    lines = []
    for system, its in _by_system(rows):
        figures = [row.figures for row in its]
        late = [one.late for one in figures if one.late]
        holes = [hole for one in figures for hole in one.holes]
        gaps = [gap for one in figures for gap in one.gaps]
        kept = "*" if any(row.heard.kept for row in its) else ""
        lines.append(
            [
                system,
                f"{len(holes)} ({_seconds(holes):.0f} s)",
                f"{len(gaps)} ({_seconds(gaps):.0f} s)",
                sum(one.lost for one in figures),
                sum(one.loops for one in figures),
                sum(one.pointless for one in figures),
                f"{max(one.longest for one in figures):.1f} s",
                f"{median(a for a, _ in late):.3f} s" if late else "",
                f"{max(b for _, b in late):.3f} s" if late else "",
                f"{sum(row.heard.wall for row in its):.1f} s{kept}",
                f"{sum(row.heard.cpu for row in its):.1f} s",
                f"{max(row.heard.memory for row in its):.0f} MB",
            ]
        )
    head = ["holes", "listed gaps", "lost words", "loops", "words of no length", "longest segment"]
    head += ["word starts: median", "95 %", "took", "processor", "memory"]
    print()
    aligned(["", *head], lines)
    print("\n* measured in a run before this one.")


def judgement(model: str, rows: list[Row]) -> None:
    """Whether our defaults beat the sum of each other way, and where one of ours is worse."""
    spoken = [row for row in rows if row.figures.words]
    theirs = {name: its for name, its in _by_system(spoken) if not name.startswith("scriberrd")}
    ours = {name: its for name, its in _by_system(spoken) if name not in theirs}
    print()
    for name, its in list(ours.items())[:1]:
        for other, others in theirs.items():
            verdict = "better" if share(its) < share(others) else "NOT better"
            print(
                f"{model}, {name}: {verdict} than {other} ({share(its):.2f}, {share(others):.2f})"
            )
    for name, its in ours.items():
        for number, row in enumerate(its):
            other, best = min(
                ((k, share([v[number]])) for k, v in theirs.items()), key=lambda it: it[1]
            )
            if share([row]) > best + WORSE:
                told = f"{share([row]):.2f} where {other} has {best:.2f}"
                print(f"{model}, {name}: worse on {row.sound.name}, {told}")


def _by_system(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    names = dict.fromkeys(row.system for row in rows)
    return [(name, [row for row in rows if row.system == name]) for name in names]


def _seconds(spans: Iterable[tuple[float, float]]) -> float:
    return sum(end - start for start, end in spans)


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """All figures, with what was heard."""
    return [
        {
            "system": row.system,
            "sound": row.sound.name,
            "true": row.sound.text,
            "heard": row.heard.text,
            "figures": vars(row.figures),
            "words": row.heard.words,
            "segments": row.heard.segments,
            "wall": row.heard.wall,
            "cpu": row.heard.cpu,
            "memory": row.heard.memory,
            "kept": row.heard.kept,
        }
        for row in rows
    ]
