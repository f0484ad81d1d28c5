"""A run is measured against its recording."""

from __future__ import annotations

from msgspec.structs import replace

from scriberrd.config import Retry, Worker
from scriberrd.protocol import DiarizerLoaded, Heartbeat, Loaded, Probed
from scriberrd.transcript import EngineInfo
from scriberrd.units import Seconds, Span
from scriberrd.work.supervision import Limits, Supervision

RETRY = Retry(soft_limit=2, hard_limit=3, limit_floor=Seconds(60))
POOL = Worker(name="cpu", heartbeat_timeout=Span(10), stall_timeout=Span(60))
HEARTBEAT = Heartbeat(job=1, lease=1, ticks=0, position=0.0)
LOADED = Loaded(
    job=1,
    lease=1,
    engine=EngineInfo(provider="test", model="m", device="cpu", compute_type="int8"),
)


def limits(duration: float | None, retry: Retry = RETRY) -> Limits:
    """Of a run whose model was loaded at 1000."""
    made = Limits(retry)
    probed = Probed(job=1, lease=1, container="wav", codec="pcm", channels=1, duration=duration)
    made.hear(probed, 0.0)
    assert made.exceeded(900.0) is None
    made.hear(LOADED, 1000.0)
    return made


def test_a_warning_comes_once_and_the_end_later() -> None:
    run = limits(100.0)
    assert (run.warning(1200.0), run.warning(1201.0), run.warning(1202.0)) == (None, 201.0, None)
    assert run.exceeded(1300.0) is None
    assert run.exceeded(1301.0) == "301 s for 100 s of audio"


def test_a_short_recording_has_some_time_all_the_same() -> None:
    run = limits(1.0)
    assert (run.warning(1060.0), run.exceeded(1060.0)) == (None, None)
    assert run.exceeded(1061.0) is not None


def test_time_that_is_skipped_does_not_count() -> None:
    run = limits(100.0)
    run.skip(500.0)
    assert (run.warning(1700.0), run.exceeded(1800.0)) == (None, None)
    assert run.exceeded(1801.0) == "301 s for 100 s of audio"
    early = Limits(RETRY)
    early.skip(500.0)
    assert early.exceeded(1e9) is None


def test_there_are_runs_without_limits() -> None:
    assert limits(None).exceeded(1e9) is None
    assert limits(1.0, Retry(soft_limit=0, hard_limit=0)).exceeded(1e9) is None
    assert limits(1.0, Retry(soft_limit=0, hard_limit=0)).warning(1e9) is None


def test_the_lease_ends_when_nothing_moves() -> None:
    watched = Supervision(POOL, RETRY, 1000.0)
    for second in range(1001, 1061):
        watched.look(float(second))
    watched.hear(HEARTBEAT, 1060.0)  # it lives, and does not move
    assert (watched.expires, watched.expired(1060.0)) == (1060.0, None)
    assert watched.silent(1061.0) == watched.expired(1061.0) == "no progress for 60 s"


def test_one_unit_of_work_may_stand_still_the_longer_the_longer_the_recording_is() -> None:
    watched = Supervision(POOL, RETRY, 1000.0)
    watched.hear(replace(HEARTBEAT, ticks=9), 1000.0)
    watched.unit(3600.0)
    loaded = DiarizerLoaded(job=1, lease=1, model="m", revision="", device="cpu")
    watched.hear(loaded, 1000.0)
    watched.hear(replace(HEARTBEAT, ticks=1), 1010.0)  # of another process, which counts anew
    assert watched.expires == 1010.0 + 60 + 1800
    watched.hear(replace(HEARTBEAT, ticks=1), 2871.0)
    assert watched.silent(2871.0) == "no progress for 1860 s"
    assert watched.limits.exceeded(1000.0 + 3 * 3600) is None
    assert watched.limits.exceeded(1001.0 + 3 * 3600) is not None
    watched.unit(0.0)
    watched.moved(3000.0)
    assert watched.expires == 3060.0


def test_what_the_daemon_slept_through_is_charged_to_nobody() -> None:
    watched = Supervision(POOL, RETRY, 1000.0)
    watched.hear(Probed(job=1, lease=1, container="", codec="", channels=1, duration=1.0), 1000.0)
    watched.hear(LOADED, 1000.0)
    watched.look(1001.0)
    watched.look(9001.0)
    assert (watched.silent(9001.0), watched.limits.exceeded(9001.0)) == (None, None)
    assert watched.expires == 9060.0
    assert watched.renewal_due()  # so that people see it, too
    assert watched.silent(9011.0) == "silent for 10 s"


def test_a_lease_is_renewed_every_few_seconds_while_the_work_moves() -> None:
    watched = Supervision(POOL, RETRY, 1000.0)
    due = []
    for tenth in range(10_000, 10_100):
        watched.moved(tenth / 10)
        if watched.renewal_due():
            due.append(watched.renewed())
    assert due == [1062.0, 1064.0, 1066.0, 1068.0]
