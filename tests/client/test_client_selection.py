from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from commands import ctl, on_a_terminal

if TYPE_CHECKING:
    from api_server import Server


async def states(server: Server) -> str:
    """Of all jobs, oldest first, by their first letters."""
    found = (await server.get("/v1/jobs"))["jobs"]
    return "".join(job["state"][0] for job in reversed(found))


@pytest.fixture
async def six(server: Server) -> Server:
    """Six jobs: 1 failed, 2 completed, 3 is processing, 4 to 6 are queued."""
    for number in range(1, 7):
        await server.submit(f"{number}.mp3")
    await server.fail(await server.claim())
    await server.complete(await server.claim())
    await server.claim()
    return server


@pytest.mark.parametrize(
    ("selected", "after"),
    [
        (["4", "6"], "fcpcqc"),
        (["5-9"], "fcpqcc"),
        (["5", "6-6"], "fcpqcc"),
        (["--state", "queued"], "fcpccc"),
        (["1-5", "--state", "queued"], "fcpccq"),
        (["4", "3", "--inbox", "default", "--state", "queued"], "fcpcqq"),
    ],
)
async def test_jobs_are_selected(six: Server, selected: list[str], after: str) -> None:
    assert (await ctl(six, "cancel", "--yes", *selected)).status == 0
    assert await states(six) == after


async def test_all_means_those_that_it_can_be_done_to(six: Server) -> None:
    assert (await ctl(six, "remove", "--yes", "--all")).out == (
        "job 1 removed: 1.mp3\njob 2 removed: 2.mp3\n"
    )
    assert (await ctl(six, "priority", "low", "--all", "--inbox", "default")).out == (
        "job 4 queued: 4.mp3; priority low\n"
        "job 5 queued: 5.mp3; priority low\n"
        "job 6 queued: 6.mp3; priority low\n"
    )


async def test_of_each_job_that_refuses_it_is_said(six: Server) -> None:
    misplaced = await ctl(six, "priority", "6", "high")
    assert "comes first: scriberrctl priority high 3" in misplaced.err
    ended = await ctl(six, "priority", "high", "6", "2-4", "3", "55")
    assert ended.status == 4
    assert ended.out == "job 6 queued: 6.mp3; priority high\njob 4 queued: 4.mp3; priority high\n"
    assert ended.err == (
        "scriberrctl: job 3 is processing: it can't have another priority\n"
        "scriberrctl: there is no job 55\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["retry", "--inbox", "default"], "there is no failed job in inbox default"),
        (["cancel", "--yes", "7-9"], "there is no queued or processing job 7-9"),
        (["priority", "low", "2-3"], "there is no queued job 2-3"),
        (["show", "7-9"], "there is no job 7-9"),
        (["redo", "--yes", "--state", "canceled"], "there is no canceled job"),
        (
            ["cancel", "--yes", "--inbox", "nope"],
            "there is no inbox nope; there are: default",
        ),
        (["list", "--inbox", "nope"], "there is no inbox nope; there are: default"),
    ],
)
async def test_nothing_matches(six: Server, args: list[str], message: str) -> None:
    await six.post("/v1/jobs/1/retry")
    assert await ctl(six, *args) == (1, "", f"scriberrctl: {message}\n")


async def test_an_inbox_without_jobs_is_no_error_of_a_list(server: Server) -> None:
    said = "there is no completed job in inbox default whose path contains 'talk'\n"
    narrowed = ("--inbox", "default", "--state", "completed", "--text", "talk")
    assert await ctl(server, "list", *narrowed) == (0, "", said)
    assert await ctl(server, "list", *narrowed, "--json") == (0, "", "")


async def test_a_range_takes_all_that_can_be_retried(six: Server) -> None:
    await six.post("/v1/jobs/4/cancel")
    assert (await ctl(six, "retry", "1-4")).out == "job 1 queued: 1.mp3\njob 4 queued: 4.mp3\n"


async def test_stories_and_texts_of_several_jobs(six: Server) -> None:
    told = await ctl(six, "logs", "4-5", "55")
    assert told.status == 4
    assert [line.partition("  ")[2] for line in told.out.splitlines()] == [
        "job 4: queued",
        "job 5: queued",
    ]
    assert told.err == "scriberrctl: there is no job 55\n"
    followed = await ctl(six, "logs", "--follow", "--state", "failed", "--state", "completed")
    assert followed.status == 0
    assert ["job 1: failed" in followed.out, "job 2: completed" in followed.out] == [True, True]
    texts = await ctl(six, "follow", "1-2")
    assert (texts.status, [line.split(":")[0] for line in texts.err.splitlines()][-1]) == (
        1,
        "job 2 completed",
    )


@pytest.mark.parametrize(
    "args",
    [["cancel"], ["cancel", "3", "--all"], ["show", "5-3"], ["retry", "5-"], ["retry", "0-3"]],
)
async def test_a_selection_that_means_nothing(server: Server, args: list[str]) -> None:
    assert (await ctl(server, *args)).status == 2


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["cancel", "--all"], "cancel jobs 3, 4, 5, 6"),
        (["cancel", "4-5"], "cancel jobs 4, 5"),
        (["cancel", "1-999999999999999"], "cancel jobs 3, 4, 5, 6"),
        (["redo", "--state", "failed"], "redo job 1"),
        (["remove", "--inbox", "default"], "remove jobs 1, 2"),
        (["remove", "--purge", "2"], "delete the transcripts of job 2"),
    ],
)
async def test_a_person_is_asked(six: Server, args: list[str], what: str) -> None:
    refused = f"scriberrctl: to {what}, add --yes: there is no terminal to ask on\n"
    assert await ctl(six, *args) == (1, "", refused)
    status, shown = await on_a_terminal(six, *args, typed="n\n")
    assert status == 1
    assert f"{what}? [y/N]: " in shown
    assert "nothing was done" in shown
    assert await states(six) == "fcpqqq"


async def test_a_person_agrees(six: Server) -> None:
    status, shown = await on_a_terminal(six, "cancel", "4-5", typed="y\n")
    assert (status, await states(six)) == (0, "fcpccq")
    assert "job 5 canceled" in shown


async def test_a_person_does_not_answer(six: Server) -> None:
    assert (await on_a_terminal(six, "cancel", "4-5", typed="\x04"))[0] == 130
    assert await states(six) == "fcpqqq"


async def test_what_is_named_one_by_one_needs_no_question(six: Server) -> None:
    assert (await ctl(six, "cancel", "4", "5")).status == 0


async def test_a_list_is_sorted_before_it_is_cut(six: Server) -> None:
    async def listed(*args: str) -> list[int]:
        out = (await ctl(six, "list", "--json", *args)).out
        return [json.loads(line)["id"] for line in out.splitlines()]

    await ctl(six, "priority", "high", "6")
    assert await listed("--limit", "2") == [6, 5]
    assert await listed("--limit", "2", "--sort", "id") == [1, 2]
    assert await listed("--sort", "-path") == [6, 5, 4, 3, 2, 1]
    assert (await listed("--sort", "priority", "--state", "queued"))[0] == 6
    assert (await ctl(six, "list", "--sort", "size")).status == 2


async def test_several_jobs_are_shown(six: Server) -> None:
    ended = await ctl(six, "show", "1-2", "55")
    assert ended.status == 4
    assert [line for line in ended.out.splitlines() if line.startswith("job ")] == [
        "job 1: 1.mp3",
        "job 2: 2.mp3",
    ]
    assert ended.err == "scriberrctl: there is no job 55\n"
    shown = (await ctl(six, "show", "--state", "queued", "--json")).out.splitlines()
    assert [json.loads(one)["id"] for one in shown] == [4, 5, 6]
    assert json.loads((await ctl(six, "show", "1", "--json")).out)["executions"][0]["lease"] == 1


async def test_selected_jobs_are_waited_for(six: Server) -> None:
    ended = await ctl(six, "wait", "1-2", "55")
    assert ended.status == 4
    assert [line.split(":")[0] for line in ended.out.splitlines()] == [
        "job 1 failed",
        "job 2 completed",
    ]
    assert "there is no job 55" in ended.err
    assert (await ctl(six, "wait", "--all", "--timeout", "10ms")).status == 124
    assert (await ctl(six, "wait", "--all", "--timeout", "soon")).status == 2
    for long in ("9999999d", "9" * 400):
        refused = await ctl(six, "stats", "--since", long)
        assert (refused.status, "is longer than 36500 days" in refused.err) == (2, True)
    assert (await ctl(six, "stats", "--since", "36500d")).status == 0


async def test_a_person_is_asked_if_earlier_jobs_of_the_recording_go_too(six: Server) -> None:
    await six.submit("2.mp3")
    await six.post("/v1/jobs/7/cancel")
    refused = "scriberrctl: to remove jobs 2, 7, add --yes: there is no terminal to ask on\n"
    assert await ctl(six, "remove", "7") == (1, "", refused)
    assert (await ctl(six, "remove", "--yes", "7")).out == "job 7 removed: 2.mp3\n"
