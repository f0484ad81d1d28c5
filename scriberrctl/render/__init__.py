"""Tables and lines for people."""

from scriberrctl.render.daemon import (
    event,
    line,
    models,
    offer,
    outage,
    pause,
    pauses,
    pulled,
    pulling,
    resume,
    verified,
    watched,
)
from scriberrctl.render.job import bar, details, jobs, outcome, purged, removed, speakers, warnings
from scriberrctl.render.passed import passed
from scriberrctl.render.problems import problems
from scriberrctl.render.screen import Screen, width
from scriberrctl.render.stats import stats
from scriberrctl.render.status import UNKNOWN, check, status, summary, workers
from scriberrctl.render.table import table
from scriberrctl.render.values import (
    SPACES_AND_JOINERS,
    counted,
    duration,
    failure,
    moment,
    plain,
    short,
)

__all__ = [
    "SPACES_AND_JOINERS",
    "UNKNOWN",
    "Screen",
    "bar",
    "check",
    "counted",
    "details",
    "duration",
    "event",
    "failure",
    "jobs",
    "line",
    "models",
    "moment",
    "offer",
    "outage",
    "outcome",
    "passed",
    "pause",
    "pauses",
    "plain",
    "problems",
    "pulled",
    "pulling",
    "purged",
    "removed",
    "resume",
    "short",
    "speakers",
    "stats",
    "status",
    "summary",
    "table",
    "verified",
    "warnings",
    "watched",
    "width",
    "workers",
]
