"""How a job is to be done: by a profile as it is today, and what people set over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd import overrides
from scriberrd.errors import InvalidRequest
from scriberrd.model import TERMINAL, JobState, Priority
from scriberrd.queue.jobs import Order
from scriberrd.settings import DIARIZATION, RENDERING, replaced, staged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scriberrd.config import Config
    from scriberrd.model import Job, RedoStage, Sidecar
    from scriberrd.settings import Settings


def order(
    config: Config, profile: str, given: Mapping[str, str], sidecar: Sidecar | None = None
) -> Order:
    """By this profile, what lies beside the recording, and what is given over both.

    Raises:
        InvalidRequest: there is no such profile, or a value is not allowed.
    """
    settings = config.profiles.get(profile)
    if settings is None:
        allowed = ", ".join(config.profiles)
        raise InvalidRequest(f"profile: there is no {profile!r}; allowed: {allowed}")
    return _over(profile, settings, given, sidecar)


def asked(
    config: Config,
    profile: str | None,
    given: Mapping[str, str],
    sidecar: Sidecar | None,
    job: Job,
) -> Order:
    """For a known job that a person submits again; see `order`. Without a sidecar, it keeps its."""
    if sidecar is None or (not sidecar.mark and job.sidecar is None):
        sidecar = job.sidecar
    if job.state is JobState.PROCESSING:
        given = {key: given[key] for key in given if key == "priority"}
    elif profile is not None:
        return order(config, profile, {**job.overrides, **given}, sidecar)
    elif job.state in TERMINAL:
        return retried(config, job, given, sidecar)
    # It keeps its settings, but for what is the profile's again.
    today = config.profiles.get(job.profile, job.settings)
    settings = replaced(job.settings, today, *(key for key, text in given.items() if not text))
    kept = _over(job.profile, settings, {**job.overrides, **given})
    return kept._replace(sidecar=job.sidecar)  # which its settings have in them


def retried(
    config: Config, job: Job, given: Mapping[str, str], sidecar: Sidecar | None = None
) -> Order:
    """By its own profile, or as before if that is gone; the words that are kept stay so."""
    profile = _profile(job, sidecar)
    settings = config.profiles.get(profile, job.settings)
    found = _over(profile, settings, {**_set(config, job, sidecar), **given}, sidecar)
    return found if job.redo_stage is None else _staged(job, found)


def moved(config: Config, job: Job, sidecar: Sidecar) -> Order | None:
    """For a job whose recording lies beside other files now; None: as before."""
    if sidecar.mark == ("" if job.sidecar is None else job.sidecar.mark):
        return None
    try:
        return retried(config, job, {}, sidecar)
    except InvalidRequest:  # it can't be with what people have set, which counts more
        return None


def redone(
    config: Config,
    job: Job,
    profile: str | None,
    given: Mapping[str, str],
    stage: RedoStage | None,
    sidecar: Sidecar | None = None,
) -> Order:
    """By its own or another profile, from a stage on; see `order`."""
    profile = profile or _profile(job, sidecar)
    if stage == "diarize":
        today = config.profiles.get(profile, job.settings)
        if "split" in (job.settings.channels, today.channels):
            what = 'channels = "split" takes the speakers from the channels'
            raise InvalidRequest(f"diarize: {what}: redo it without --stage")
    found = order(config, profile, {**_set(config, job, sidecar), **given}, sidecar)
    if stage is None:
        return found
    for key in given.keys() - {*DIARIZATION, *RENDERING, "priority"}:
        raise InvalidRequest(f"{key} changes the words: redo it without --stage")
    found = _staged(job, found)
    if stage == "diarize" and found.settings.diarize == "off":
        what = 'it is "off": nobody would be told apart'
        raise InvalidRequest(f"diarize: {what}: --set diarize=auto")
    return found


def _over(
    profile: str, settings: Settings, given: Mapping[str, str], sidecar: Sidecar | None = None
) -> Order:
    """The settings with what is given over them; the priority has a column of its own."""
    kept = {key: text for key, text in given.items() if text and key != "priority"}
    beside = {} if sidecar is None else sidecar.given
    return Order(profile, overrides.apply(settings, {**beside, **given}), kept, sidecar)


def _profile(job: Job, sidecar: Sidecar | None) -> str:
    """Its own, unless what lies beside it names another one than before."""
    if sidecar is None or sidecar.profile is None:
        return job.profile
    before = None if job.sidecar is None else job.sidecar.profile
    return job.profile if sidecar.profile == before else sidecar.profile


def _set(config: Config, job: Job, sidecar: Sidecar | None) -> dict[str, str]:
    """What was set for it, and the priority that it has: people may have set that, too.

    They have not if it is what its profile says, or what lay beside its recording. Then what lies
    there now says another one.
    """
    has = Priority(job.priority).name.lower()
    before = None if job.sidecar is None else job.sidecar.given.get("priority")
    usual = before or config.profiles.get(job.profile, job.settings).priority
    if sidecar is not None and sidecar.given.get("priority") != before and has == usual:
        return dict(job.overrides)
    return job.overrides | {"priority": has}


def _staged(job: Job, order: Order) -> Order:
    """For a job that keeps its words, and so the settings that they were made with."""
    settings = overrides.checked(staged(job.settings, order.settings))
    return order._replace(settings=settings, sidecar=job.sidecar)
