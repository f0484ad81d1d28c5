"""Tables and lines for people."""

from scriberrctl.render.daemon import (
    event,
    models,
    offer,
    outage,
    pause,
    pauses,
    pulled,
    pulling,
    status,
    summary,
    watched,
)
from scriberrctl.render.job import bar, details, jobs, outcome, purged, removed, speakers, warnings
from scriberrctl.render.passed import passed
from scriberrctl.render.stats import stats
from scriberrctl.render.values import (
    SPACES_AND_JOINERS,
    counted,
    duration,
    failure,
    moment,
    plain,
    table,
)

__all__ = [
    "SPACES_AND_JOINERS",
    "bar",
    "counted",
    "details",
    "duration",
    "event",
    "failure",
    "jobs",
    "models",
    "moment",
    "offer",
    "outage",
    "outcome",
    "passed",
    "pause",
    "pauses",
    "plain",
    "pulled",
    "pulling",
    "purged",
    "removed",
    "speakers",
    "stats",
    "status",
    "summary",
    "table",
    "warnings",
    "watched",
]
