"""A recording that is renamed before it is transcribed takes its job along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import mounted
from taken import Taken, taking

from scriberrd.files.folders import Folders
from scriberrd.inbox import mending, sidecars
from scriberrd.model import Job, JobState, Priority, Sidecar, Source
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Taken]:
    with taking(tmp_path) as taken:
        yield taken


def known(jobs_: list[Job]) -> list[tuple[int, bytes, str]]:
    return [(one.id, one.path, one.state) for one in jobs_]


async def rename(taken: Taken, before: str, after: str) -> None:
    (taken.folder / after).parent.mkdir(exist_ok=True)
    (taken.folder / before).rename(taken.folder / after)
    await taken.take(after)


async def test_a_recording_renamed_while_it_is_queued_stays_one_job(taken: Taken) -> None:
    (taken.folder / "REC001.wav").write_bytes(b"one")
    await taken.take("REC001.wav")
    await rename(taken, "REC001.wav", "talk.wav")
    await rename(taken, "talk.wav", "2026/Grüße.wav")
    (job,) = await taken.jobs()
    assert known([job]) == [(1, "2026/Grüße.wav".encode(), "queued")]
    assert job.identity == taken.found("2026/Grüße.wav")[0].identity
    assert await taken.unknown("2026/Grüße.wav") == []
    events = [
        one.data for one in await taken.store.read(queries.events, 0, 100) if one.type == "moved"
    ]
    assert events == [
        {"from": "REC001.wav", "to": "talk.wav"},
        {"from": "talk.wav", "to": "2026/Grüße.wav"},
    ]


async def test_what_lies_beside_its_new_name_counts_and_what_people_set_counts_more(
    taken: Taken,
) -> None:
    (taken.folder / "de").mkdir()
    (taken.folder / "de/.scriberr.toml").write_text(
        'language = "de"\nspeakers = 2\npriority = "high"'
    )
    (taken.folder / "a.wav").write_bytes(b"one")
    await taken.take("a.wav")
    await taken.intake.accept(taken.inbox, b"a.wav", given={"speakers": "3", "max_speakers": "4"})
    await rename(taken, "a.wav", "de/a.wav")
    (job,) = await taken.jobs()
    assert (job.settings.language, job.settings.speakers, job.priority) == ("de", 3, Priority.HIGH)
    assert job.sidecar == sidecars.read(taken.folder, b"de/a.wav", taken.live.config)
    await rename(taken, "de/a.wav", "b.wav")
    (job,) = await taken.jobs()
    assert (job.settings.language, job.settings.speakers) == ("auto", 3)
    assert (job.priority, job.sidecar) == (Priority.NORMAL, None)


async def test_a_folder_that_is_renamed_takes_all_its_jobs_along(taken: Taken) -> None:
    (taken.folder / "new").mkdir()
    for name in "abc":
        (taken.folder / f"new/{name}.wav").write_bytes(name.encode())
        await taken.take(f"new/{name}.wav")
    (taken.folder / "new").rename(taken.folder / "2026")
    for name in "cab":
        await taken.take(f"2026/{name}.wav")
    assert known(await taken.jobs()) == [
        (n, f"2026/{name}.wav".encode(), "queued") for n, name in enumerate("abc", 1)
    ]


async def test_a_recording_that_was_missed_comes_along_and_is_queued(taken: Taken) -> None:
    (taken.folder / "a.wav").write_bytes(b"one")
    await taken.take("a.wav")
    (taken.folder / "a.wav").rename(taken.folder / "b.wav")
    await taken.fail("source_missing")
    await taken.take("b.wav")
    (job,) = await taken.jobs()
    assert known([job]) == [(1, b"b.wav", "queued")]
    assert job.error_code is None


async def test_a_copy_or_another_link_is_a_recording_of_its_own(taken: Taken) -> None:
    (taken.folder / "a.wav").write_bytes(b"one")
    await taken.take("a.wav")
    (taken.folder / "copy.wav").write_bytes(b"one")
    (taken.folder / "link.wav").hardlink_to(taken.folder / "a.wav")
    for name in ("copy.wav", "link.wav"):
        await taken.take(name)
    assert [one.path for one in await taken.jobs()] == [b"a.wav", b"copy.wav", b"link.wav"]


async def test_of_two_links_one_takes_the_job_along(taken: Taken) -> None:
    (taken.folder / "a.wav").write_bytes(b"one")
    await taken.take("a.wav")
    (taken.folder / "b.wav").hardlink_to(taken.folder / "a.wav")
    (taken.folder / "a.wav").rename(taken.folder / "c.wav")
    assert await taken.arrivals.take(taken.inbox, taken.found("b.wav", "c.wav")) == [None, None]
    assert known(await taken.jobs()) == [(1, b"b.wav", "queued"), (2, b"c.wav", "queued")]


@pytest.mark.parametrize("state", [JobState.PROCESSING, JobState.CANCELED, JobState.COMPLETED])
async def test_only_what_has_not_been_begun_moves(taken: Taken, state: JobState) -> None:
    (taken.folder / "a.wav").write_bytes(b"one")
    await taken.take("a.wav")
    if state is JobState.CANCELED:
        await taken.store.run(jobs.cancel, 1, 2.0)
    else:
        lease = await taken.claim()
        if state is JobState.COMPLETED:
            await taken.store.run(jobs.published, lease, now=3.0)
            await taken.store.run(jobs.finish, lease, language=None, now=3.0)
    await rename(taken, "a.wav", "b.wav")
    assert known(await taken.jobs()) == [(1, b"a.wav", state), (2, b"b.wav", "queued")]


async def test_a_name_that_is_known_keeps_its_job(taken: Taken) -> None:
    """Two recordings that change names, again and again: neither is lost, neither is doubled."""
    contents = {"a.wav": b"one", "b.wav": b"two"}
    for name, content in contents.items():
        (taken.folder / name).write_bytes(content)
        await taken.take(name)
    for swap in range(100):
        for before, after in (("a.wav", "c.wav"), ("b.wav", "a.wav"), ("c.wav", "b.wav")):
            (taken.folder / before).rename(taken.folder / after)
            if swap % 2:  # seen in between
                await taken.take(after)
        for name in contents:
            await taken.take(name)
        live = [one for one in await taken.jobs() if (taken.folder / one.path.decode()).exists()]
        assert sorted(one.path for one in live) == [b"a.wav", b"b.wav"]
        for one in live:
            assert one.identity == taken.found(one.path.decode())[0].identity
    assert len({one.sha256 for one in live}) == 2


async def test_an_unmounted_share_is_not_a_renamed_recording(taken: Taken) -> None:
    share = taken.folder / "share"
    with mounted(share):
        (share / "a.wav").write_bytes(b"one")
        job, _ = await taken.take("share/a.wav")
    copy = taken.folder / "b.wav"  # of another device, and by chance with the same numbers
    copy.write_bytes(b"one")
    (found,) = taken.found("b.wav")
    found = found._replace(identity=job.identity._replace(dev=found.identity.dev))
    source = Source("main", found.path, found.identity, job.sha256)
    assert await taken.store.read(jobs.movable, [source])
    config, moved = taken.live.config, [(source, Sidecar())]
    await mending.move_along(config, taken.store, Folders(), taken.clock, taken.inbox, moved)
    assert [one.path for one in await taken.jobs()] == [b"share/a.wav"]
