"""What the files beside a recording set, and what is wrong with them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from taken import Taken, taking

from scriberrd.errors import InboxUnavailable, InvalidRequest
from scriberrd.inbox import sidecars
from scriberrd.model import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scriberrd.model import Sidecar


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Taken]:
    with taking(tmp_path) as taken:
        for name in ("talk.wav", "a/b/talk.wav", "other.wav"):
            (taken.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (taken.folder / name).write_bytes(name.encode())
        yield taken


def put(taken: Taken, name: str, text: str) -> None:
    (taken.folder / name).write_text(text)


def read(taken: Taken, name: str = "talk.wav") -> Sidecar:
    return sidecars.read(taken.folder, name.encode(), taken.live.config)


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ('language = "de"', {"language": "de"}),
        ('languages = ["de", "en"]', {"languages": ("de", "en")}),
        ('task = "translate"', {"task": "translate"}),
        ('prompt = "Grüße, Anna"', {"initial_prompt": "Grüße, Anna"}),
        ('hotwords = "scriberrd apsw"', {"hotwords": "scriberrd apsw"}),
        ('diarize = "auto"', {"diarize": "auto"}),
        ("speakers = 2", {"speakers": 2}),
        ("min_speakers = 2\nmax_speakers = 4", {"min_speakers": 2, "max_speakers": 4}),
        ('formats = ["json", "srt"]', {"formats": ("json", "srt")}),
        ('priority = "urgent"', {"priority": "urgent"}),
        ('profile = "other"', {"model": "tiny"}),
        ('profile = "other"\nlanguage = "fr"', {"model": "tiny", "language": "fr"}),
        ("# nothing\n", {}),
    ],
)
async def test_each_key_sets_what_it_says(
    taken: Taken, line: str, settings: dict[str, Any]
) -> None:
    put(taken, "talk.wav.toml", line)
    assert read(taken).problem == ""
    job, _ = await taken.take("talk.wav")
    plain, _ = await taken.take("other.wav")
    for key in job.settings.__struct_fields__:
        expected = settings.get(key, getattr(plain.settings, key))
        assert getattr(job.settings, key) == expected, key
    assert job.priority == (0 if "priority" in settings else plain.priority)
    assert job.profile == ("other" if "profile" in line else "default")
    assert job.overrides == {}  # what people ordered is another thing
    assert job.sidecar is not None
    assert plain.sidecar is None


def test_what_is_nearer_counts_more(taken: Taken) -> None:
    put(
        taken,
        ".scriberr.toml",
        'profile = "other"\nlanguage = "de"\nspeakers = 2\ntask = "translate"',
    )
    put(taken, "a/.scriberr.toml", 'language = "fr"\nspeakers = 3')
    put(taken, "a/b/talk.wav.toml", "speakers = 4")
    found = read(taken, "a/b/talk.wav")
    assert (found.problem, found.profile) == ("", "other")
    assert found.given == {"language": "fr", "speakers": "4", "task": "translate"}
    assert read(taken).given == {"language": "de", "speakers": "2", "task": "translate"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n\nlanguage = 7", "talk.wav.toml:3: language: 7 is not a text"),
        (
            'task = "sing"',
            'talk.wav.toml:1: task: \'sing\' is not one of "transcribe", "translate"',
        ),
        ("speakers = 101", "talk.wav.toml:1: speakers: 101 is not a whole number from 0 to 100"),
        ('speakers = "2"', "talk.wav.toml:1: speakers: '2' is not a whole number from 0 to 100"),
        (
            'formats = ["doc"]',
            "talk.wav.toml:1: formats: ['doc'] is not a list of any of \"json\", ",
        ),
        ('formats = "json"', "talk.wav.toml:1: formats: 'json' is not a list of any of \"json\", "),
        ("diarize = true", 'talk.wav.toml:1: diarize: True is not one of "auto", "off"'),
        ('langauge = "de"', "talk.wav.toml:1: langauge: unknown key; did you mean 'language'? "),
        ('\n# x\nmodel = "x"', "talk.wav.toml:3: model: only a profile sets it: name one"),
        ('engine = "x"', "talk.wav.toml:1: engine: only a profile sets it: name one"),
        ('diarizer = "x"', "talk.wav.toml:1: diarizer: only a profile sets it: name one"),
        ("\n[language]\n", "talk.wav.toml:2: language: {} is not a text"),
        ("language = ", "talk.wav.toml:1: unexpected end of file"),
        ('task = "translate"\nlanguage = "de"\nlanguage = "fr"', "talk.wav.toml:3: "),
        ("[a]\n[b]\n[a]\n", 'talk.wav.toml:3: Key "a" already exists'),
        ('languages = ["de,en"]', "talk.wav.toml:1: languages: a comma in a text"),
        (
            '\nprofile = "none"',
            "talk.wav.toml:2: profile: there is no 'none'; allowed: default, other",
        ),
        (
            "speakers = 9\nmax_speakers = 4",
            "talk.wav.toml:1: speakers: 9 is more than max_speakers, 4",
        ),
    ],
)
async def test_what_is_wrong_is_said_with_its_line(taken: Taken, text: str, problem: str) -> None:
    put(taken, "talk.wav.toml", text)
    found = read(taken)
    assert found.problem.startswith(problem), found.problem
    assert (found.given, found.profile) == ({}, None)
    job, _ = await taken.take("talk.wav")
    assert job.sidecar == found
    assert job.settings == (await taken.take("other.wav"))[0].settings


def test_a_conflict_of_two_files_is_said_where_its_key_is(taken: Taken) -> None:
    put(taken, "a/.scriberr.toml", "\nmin_speakers = 5")
    put(taken, "a/b/talk.wav.toml", "max_speakers = 4")
    problem = "a/.scriberr.toml:2: min_speakers: 5 is more than max_speakers, 4"
    assert read(taken, "a/b/talk.wav").problem == problem


def _gigabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "talk.wav.toml: not a regular file"),
        (os.mkfifo, "talk.wav.toml: not a regular file"),
        (lambda path: path.mkdir(), "talk.wav.toml: not a regular file"),
        (_gigabyte, "talk.wav.toml: larger than 8192 bytes"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "talk.wav.toml: not UTF-8 text"),
        (lambda path: path.write_text("language = " + "[" * 8000), "talk.wav.toml:1: "),
        (lambda path: path.write_text("language = " + "{a=" * 2000), "talk.wav.toml:1: "),
        (lambda path: path.write_text("a." * 4000 + "a = 1"), "talk.wav.toml:1: "),
        (
            lambda path: path.write_text("speakers = 0x" + "f" * 5000),
            "talk.wav.toml:1: speakers: a number of too many digits is not a whole number from 0 ",
        ),
        (
            lambda path: path.write_text("languages = [0x" + "f" * 5000 + "]"),
            "talk.wav.toml:1: languages: a number of too many digits is not a list of texts",
        ),
        (
            lambda path: path.write_text('"\\u001b[31m\\u0007\\n" = 1'),
            r"talk.wav.toml:1: \x1b[31m\x07\n: unknown key; ",
        ),
        (lambda path: path.write_text(f'task = "{"x" * 8000}"'), "talk.wav.toml:1: task: 'xxx"),
        (
            lambda path: path.write_text("".join(f"[t{n}]\n" for n in range(1000)) + "[t0]\n"),
            "talk.wav.toml:1001: ",
        ),
    ],
)
async def test_what_strangers_put_there_harms_only_its_recording(
    taken: Taken, make: Callable[[Path], object], problem: str
) -> None:
    make(taken.folder / "talk.wav.toml")
    found = read(taken)
    assert found.problem.startswith(problem)
    assert len(found.problem) <= 300
    job, _ = await taken.take("talk.wav")
    assert (job.sidecar, job.state) == (found, "queued")
    assert (await taken.take("other.wav"))[0].sidecar is None


async def test_what_trips_the_parser_is_told_once_and_harms_only_its_recording(
    taken: Taken, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def trip(text: str) -> tomlkit.TOMLDocument:
        return {}[text]

    monkeypatch.setattr(tomlkit, "parse", trip)
    put(taken, "talk.wav.toml", "language = 7 # trips")
    assert read(taken).problem == "talk.wav.toml: can't be understood"
    assert read(taken) == (await taken.take("talk.wav"))[0].sidecar
    assert caplog.text.count("Traceback") == 1


async def test_what_trips_us_holds_up_no_other(
    taken: Taken, caplog: pytest.LogCaptureFixture
) -> None:
    put(taken, "talk.wav.toml", "speakers = -1")
    put(taken, "other.wav.toml", "speakers = -1")
    odd, other = taken.found("talk.wav", "other.wav")
    odd = odd._replace(path=b"a/../talk.wav")  # as no scan finds any
    trouble, none = await taken.arrivals.take(taken.inbox, [odd, other])
    assert (type(trouble), none) == (ValueError, None)
    await taken.fail("bad_sidecar")
    job, _ = await taken.take("talk.wav")
    await taken.fail("bad_sidecar")
    await taken.store.run(
        lambda db: db.execute("UPDATE job SET path = ? WHERE id = ?", (odd.path, job.id)) and None
    )
    put(taken, "other.wav.toml", "speakers = 3")
    assert await taken.arrivals.mended(taken.inbox, [odd, other]) == []
    assert [one.state for one in await taken.jobs()] == ["queued", "failed"]
    assert caplog.text.count("Traceback") == 1


def test_the_longest_name_has_none(taken: Taken) -> None:
    (taken.folder / ("n" * 251 + ".wav")).touch()
    assert not read(taken, "n" * 251 + ".wav").mark


def test_a_name_that_is_no_text_is_shown_as_one(taken: Taken) -> None:
    (taken.folder / os.fsdecode(b"\xff\n.wav.toml")).write_text("x")
    problem = sidecars.read(taken.folder, b"\xff\n.wav", taken.live.config).problem
    assert problem.startswith(r"\xff\n.wav.toml:1: ")


def test_an_inbox_that_is_out_has_no_bad_sidecars(taken: Taken) -> None:
    taken.folder.rename(taken.folder.with_name("away"))
    with pytest.raises(InboxUnavailable):
        read(taken)


async def test_what_people_set_counts_more(taken: Taken) -> None:
    put(taken, "talk.wav.toml", 'profile = "other"\nlanguage = "de"\nspeakers = 2')

    async def submit(profile: str | None = None, **given: str) -> tuple[str, str, int]:
        job, _ = await taken.intake.accept(taken.inbox, b"talk.wav", profile=profile, given=given)
        return job.profile, job.settings.language, job.settings.speakers

    assert await submit(language="fr") == ("other", "fr", 2)
    assert await submit(language="") == ("other", "auto", 2)
    assert await submit("default", language="it") == ("default", "it", 2)
    with pytest.raises(InvalidRequest, match="speakers: 2 is more than max_speakers, 1"):
        await submit("default", max_speakers="1")


async def test_a_changed_sidecar_is_used_once_it_is_asked_for(taken: Taken) -> None:
    put(taken, "talk.wav.toml", 'language = "de"')
    before, _ = await taken.take("talk.wav")
    put(taken, "talk.wav.toml", 'language = "fr"\nprofile = "other"')
    assert await taken.unknown("talk.wav") == []
    assert read(taken).mark != (before.sidecar and before.sidecar.mark)
    job, _ = await taken.intake.accept(taken.inbox, b"talk.wav")
    assert (job.settings.language, job.sidecar) == ("de", before.sidecar)
    await taken.fail("invalid_media")
    job = await taken.intake.redo(job.id)
    assert (job.settings.language, job.profile, job.sidecar) == ("fr", "other", read(taken))
    (taken.folder / "talk.wav.toml").unlink()
    await taken.fail("invalid_media")
    job = await taken.intake.redo(job.id)
    assert (job.settings.language, job.profile, job.sidecar) == ("auto", "other", None)


async def test_a_changed_priority_is_used_unless_people_have_set_one(taken: Taken) -> None:
    async def redone(text: str, **given: str) -> int:
        put(taken, "talk.wav.toml", text)
        await taken.fail("invalid_media")
        return (await taken.intake.redo(1, given=given)).priority

    put(taken, "talk.wav.toml", 'language = "de"')
    await taken.take("talk.wav")
    assert await redone('priority = "high"') == Priority.HIGH
    assert await redone('priority = "low"') == Priority.LOW
    assert await redone("") == Priority.NORMAL
    assert await redone('priority = "high"', priority="urgent") == Priority.URGENT
    assert await redone('priority = "low"') == Priority.URGENT


async def test_words_that_are_kept_keep_the_sidecar_that_they_were_made_with(taken: Taken) -> None:
    put(taken, "talk.wav.toml", 'language = "de"')
    before, _ = await taken.take("talk.wav")
    await taken.fail("invalid_media")
    put(taken, "talk.wav.toml", 'language = "fr"\nspeakers = 3\ndiarize = "auto"')
    job = await taken.intake.redo(before.id, stage="diarize")
    assert (job.settings.language, job.settings.speakers) == ("de", 3)
    assert job.sidecar == before.sidecar


async def test_a_bad_sidecar_that_is_mended_starts_its_job_again(taken: Taken) -> None:
    put(taken, "talk.wav.toml", "speakers = -1")
    job, _ = await taken.intake.accept(taken.inbox, b"talk.wav", given={"task": "translate"})
    await taken.fail("bad_sidecar")
    assert await taken.unknown("talk.wav") == []
    put(taken, "talk.wav.toml", "speakers = 3")
    taken.clock.ahead += 61
    assert await taken.unknown("talk.wav") == []  # nothing is to be read again
    (again,) = await taken.jobs()
    assert (again.id, again.state, again.sidecar) == (job.id, "queued", read(taken))
    assert (again.settings.speakers, again.settings.task) == (3, "translate")


async def test_one_that_cannot_be_with_what_was_set_stays_as_it_is(taken: Taken) -> None:
    put(taken, "talk.wav.toml", "speakers = -1")
    await taken.intake.accept(taken.inbox, b"talk.wav", given={"max_speakers": "2"})
    await taken.fail("bad_sidecar")
    put(taken, "talk.wav.toml", "speakers = 3")
    assert await taken.unknown("talk.wav") == []
    (job,) = await taken.jobs()
    assert (job.state, job.error_code) == ("failed", "bad_sidecar")
