"""What rows hold: jobs and published files, to and from the columns of their tables."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from scriberrd.asking import Who
from scriberrd.model import Fallback, Identity, Job, JobState, Print, Shown, Sidecar, Stage
from scriberrd.settings import Settings

Row = tuple[Any, ...]

# Names are reserved before their files are in place: they count once the job has published there.
# While it is done anew that is still so.
_OUTPUTS = """
    CASE WHEN job.published_at IS NOT NULL THEN (
        SELECT json_group_array(json_array(hex(output.name), output.edited) ORDER BY output.name)
        FROM output WHERE output.job = job.id AND output.published = job.id
    ) ELSE '[]' END
"""
_NAMES = """
    (SELECT json_group_array(json_array(turns, label, name)) FROM speaker
     WHERE speaker.job = job.id)
"""
_LEAVING = "(SELECT error FROM disposal WHERE disposal.job = job.id)"
_OTHERS = {"outputs", "edited", "names", "leaving"}  # than columns of the job's own table
_FIELDS = tuple(field for field in Job.__struct_fields__ if field not in _OTHERS)

JOB_COLUMNS = ", ".join([*(f"job.{field}" for field in _FIELDS), _OUTPUTS, _NAMES, _LEAVING])
"""What `job` decodes; for SELECT ... FROM job, and for RETURNING."""

LEFT = "(job.disposed IS NOT NULL OR job.id IN (SELECT job FROM disposal WHERE begun))"
"""SQL: the recording of a job is gone from its inbox. Its transcript may be all that is left of it,
and other bytes that get its name are another recording."""

identity = msgspec.json.Decoder(Identity).decode
_settings = lru_cache(maxsize=256)(msgspec.json.Decoder(Settings).decode)  # many jobs share them
_fallbacks = msgspec.json.Decoder(tuple[Fallback, ...]).decode
_shown = msgspec.json.Decoder(Shown).decode
_who = msgspec.json.Decoder(Who).decode
_sidecar = msgspec.json.Decoder(Sidecar).decode
_texts = msgspec.json.Decoder(dict[str, str]).decode
_warnings = msgspec.json.Decoder(tuple[str, ...]).decode
_names = msgspec.json.Decoder(list[tuple[str, int]]).decode
_speakers = msgspec.json.Decoder(list[tuple[str, str, str]]).decode


class Output(NamedTuple):
    """A published file."""

    inbox: str  # whose output folder it lies in
    name: bytes  # relative to it
    prints: tuple[Print, ...]  # of what was published; until then of all that runs began to write
    published: bool  # otherwise the name is only reserved
    edited: bool  # somebody has changed it since

    @property
    def suffix(self) -> str:
        """What its name ends in: its format."""
        return self.name.rpartition(b".")[2].decode("latin-1")


OUTPUT_COLUMNS = "output.inbox, output.name, output.prints, output.published, output.edited"
"""What `output` decodes."""


def job(row: Row) -> Job:
    """The job that a row of `JOB_COLUMNS` holds."""
    *fields, outputs, named, leaving = row
    values = dict(zip(_FIELDS, fields, strict=True))
    values["state"] = JobState(values["state"])
    values["stage"] = values["stage"] and Stage(values["stage"])
    values["identity"] = identity(values["identity"])
    values["settings"] = _settings(values["settings"])
    values["fallbacks"] = _fallbacks(values["fallbacks"])
    values["cancel_requested"] = bool(values["cancel_requested"])
    values["redo"] = bool(values["redo"])
    values["overrides"] = _texts(values["overrides"])
    values["shown"] = values["shown"] and _shown(values["shown"])
    values["cached"] = bool(values["cached"])
    values["uploaded"] = bool(values["uploaded"])
    values["submitted_by"] = values["submitted_by"] and _who(values["submitted_by"])
    values["sidecar"] = values["sidecar"] and _sidecar(values["sidecar"])
    values["warnings"] = _warnings(values["warnings"])
    names = [(bytes.fromhex(name), bool(edited)) for name, edited in _names(outputs)]
    return Job(
        **values,
        outputs=tuple(name for name, edited in names if not edited),
        edited=tuple(name for name, edited in names if edited),
        leaving=leaving,
        names={(turns, label): name for turns, label, name in _speakers(named)},
    )


def output(row: Row) -> Output:
    """The output that a row of `OUTPUT_COLUMNS` holds."""
    inbox, name, prints, published, edited = row
    return Output(
        inbox, name, tuple(map(Print.read, prints.split())), bool(published), bool(edited)
    )
