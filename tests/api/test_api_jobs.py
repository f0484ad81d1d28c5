from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from api_server import Server


async def test_a_new_job_shows_everything_and_no_absolute_path(server: Server) -> None:
    job = await server.submit("talks/Grüße.mp3", given={"priority": "high"})
    view = await server.get(f"/v1/jobs/{job.id}")
    assert view == {
        "id": 1,
        "state": "queued",
        "stage": None,
        "inbox": "default",
        "path": "talks/Grüße.mp3",
        "name": "Grüße.mp3",
        "profile": "default",
        "set": {},
        "diarize": "off",
        "priority": "high",
        "created_at": "2023-11-14T22:13:20.000Z",
        "queued_at": "2023-11-14T22:13:20.000Z",
        "started_at": None,
        "finished_at": None,
        "not_before": None,
        "lease_expires_at": None,
        "cancel_requested": False,
        "redo": False,
        "redo_stage": None,
        "failures": 0,
        "interruptions": 0,
        "fallbacks": [],
        "progress": {
            "seconds": 0.0,
            "duration": None,
            "fraction": None,
            "diarized": None,
            "kept": 0.0,
            "eta_seconds": None,
            "real_time_factor": None,
        },
        "language": None,
        "error": None,
        "outputs": [],
        "edited": [],
        "speakers": [],
        "warnings": [],
        "cached": False,
        "uploaded": False,
        "submitted_by": None,
        "sidecar": None,
        "disposed": None,
        "leaving": None,
        "source": {"size": 11, "sha256": job.sha256},
    }


async def test_progress_counts_what_this_run_did(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    await server.progress(job, 40.0)
    server.clock.now += 10
    progress = (await server.get("/v1/jobs/1"))["progress"]
    assert progress == {
        "seconds": 40.0,
        "duration": 100.0,
        "fraction": 0.4,
        "diarized": None,
        "kept": 0.0,
        "eta_seconds": 15.0,
        "real_time_factor": 0.25,
    }
    await server.fail(job, "worker_crashed", "it was killed by signal 9")
    view = await server.get("/v1/jobs/1")
    assert view["progress"]["kept"] == 40.0
    assert view["not_before"] > "2023-11-14T22:13:30"
    assert view["error"]["detail"] == "it was killed by signal 9"
    server.clock.now += 1000
    job = await server.claim()
    await server.progress(job, 40.0)
    view = await server.get("/v1/jobs/1")
    assert view["error"] is None  # that was another run
    assert view["progress"]["eta_seconds"] is None
    assert view["progress"]["kept"] == 40.0
    server.clock.now += 10
    await server.progress(job, 60.0)
    view = await server.get("/v1/jobs/1")
    assert (view["not_before"], view["progress"]["eta_seconds"]) == (None, 20.0)


async def test_a_job_in_processing_tells_until_when_its_lease_holds(server: Server) -> None:
    await server.submit()
    server.clock.now += 100
    expires = server.clock.monotonic() + 600
    times = {"now": server.clock.now, "expires": expires, "longest": 3600.0}
    job = await server.store.run(jobs.claim, "cpu", **times)
    assert job is not None
    for _ in range(2):
        view = await server.get("/v1/jobs/1")
        assert view["lease_expires_at"] == "2023-11-14T22:25:00.000Z"
        server.clock.now += 50
    await server.store.run(jobs.renew, jobs.Lease(job.id, job.lease), expires=expires + 60)
    assert (await server.get("/v1/jobs/1"))["lease_expires_at"] == "2023-11-14T22:26:00.000Z"
    await server.fail(job)
    assert (await server.get("/v1/jobs/1"))["lease_expires_at"] is None


async def test_a_completed_job_names_its_outputs(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    server.clock.now += 20
    await server.complete(job, ("json", "txt"))
    view = await server.get("/v1/jobs/1")
    assert (view["state"], view["stage"], view["language"]) == ("completed", None, "de")
    assert view["outputs"] == ["talk.mp3.json", "talk.mp3.txt"]
    assert view["progress"]["fraction"] == 1.0
    assert view["progress"]["real_time_factor"] == 0.2


async def test_a_failed_job_says_why_and_what_to_do(server: Server) -> None:
    await server.submit()
    await server.fail(await server.claim(), "empty_file")
    view = await server.get("/v1/jobs/1")
    assert view["state"] == "failed"
    assert view["error"] == {
        "code": "empty_file",
        "message": "the file has no bytes",
        "advice": "copy it again",
        "detail": "",
    }


async def test_pages_end_exactly(server: Server) -> None:
    for number in range(4):
        await server.submit(f"{number}.mp3")
    page = await server.get("/v1/jobs?limit=2")
    assert ([job["id"] for job in page["jobs"]], page["next"]) == ([4, 3], 3)
    page = await server.get(f"/v1/jobs?limit=2&before={page['next']}")
    assert ([job["id"] for job in page["jobs"]], page["next"]) == ([2, 1], None)


async def test_the_list_is_filtered(server: Server) -> None:
    for number in range(3):
        await server.submit(f"{number}.mp3")
    await server.post("/v1/jobs/2/cancel")

    async def ids(query: str) -> list[int]:
        return [job["id"] for job in (await server.get(f"/v1/jobs?{query}"))["jobs"]]

    assert await ids("state=canceled") == [2]
    assert await ids("state=canceled&state=queued&text=MP3") == [3, 2, 1]
    assert await ids("inbox=other") == []
    assert await ids("text=0.M") == [1]


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        (
            "state=done",
            "state: 'done' is not one of queued, processing, completed, failed, canceled",
        ),
        ("limit=0", "limit: '0' is not a whole number from 1 to 1000"),
        ("limit=1001", "limit: '1001' is not a whole number from 1 to 1000"),
        ("limit=many", "limit: 'many' is not a whole number from 1 to 1000"),
        ("before=99999999999999999999", f"not a whole number from 1 to {queries.LARGEST}"),
        ("state=queued&state=done", "state: 'done' is not one of queued, processing,"),
        ("page=2", "page: unknown field; known fields: state, inbox, text, before, limit"),
    ],
)
async def test_a_wrong_parameter_is_named(server: Server, query: str, complaint: str) -> None:
    problem = await server.get(f"/v1/jobs?{query}", status=422)
    assert problem["code"] == "invalid_request"
    assert complaint in problem["detail"]


@pytest.mark.parametrize("verb", ["", "/executions", "/transcript", "/cancel", "/retry"])
@pytest.mark.parametrize(
    ("id_", "status"), [("9", 404), ("9" * 19, 404), ("9" * 5000, 404), ("abc", 422), ("-1", 422)]
)
async def test_no_such_job(server: Server, verb: str, id_: str, status: int) -> None:
    method = "POST" if verb in {"/cancel", "/retry"} else "GET"
    problem = await server.call(method, f"/v1/jobs/{id_}{verb}", status=status)
    assert problem["code"] == {404: "job_not_found", 422: "invalid_request"}[status]


async def test_cancel_and_retry(server: Server) -> None:
    await server.submit()
    assert (await server.post("/v1/jobs/1/cancel"))["state"] == "canceled"
    problem = await server.post("/v1/jobs/1/cancel", status=409)
    assert problem == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "code": "illegal_move",
        "detail": "job 1 is canceled: it can't be canceled",
    }
    assert (await server.post("/v1/jobs/1/retry"))["state"] == "queued"
    await server.claim()
    view = await server.post("/v1/jobs/1/cancel")
    assert (view["state"], view["cancel_requested"]) == ("processing", True)


async def test_redo_takes_the_settings_of_today_and_keeps_the_transcript(server: Server) -> None:
    await server.submit()
    await server.complete(await server.claim())
    view = await server.post("/v1/jobs/1/redo?profile=fast")
    assert (view["state"], view["redo"], view["profile"]) == ("queued", True, "fast")
    assert view["priority"] == "normal"  # the job's, not the profile's
    assert view["outputs"] == ["talk.mp3.json"]
    job = await server.claim()
    assert job.settings.model == "tiny"
    assert (await server.get("/v1/jobs/1/transcript"))["text"] == "Grüß Gott."
    problem = await server.post("/v1/jobs/1/redo", status=409)
    assert problem["detail"] == "job 1 is processing: it can't be redone"
    await server.complete(job)
    assert (await server.get("/v1/jobs/1"))["redo"] is False
    problem = await server.post("/v1/jobs/1/redo?profile=nope", status=422)
    assert problem["detail"] == "profile: there is no 'nope'; allowed: default, fast"


async def test_runs_are_listed(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    await server.progress(job, 40.0)
    server.clock.now += 10
    await server.fail(job)
    assert (await server.get("/v1/jobs/1/executions"))["executions"] == [
        {
            "lease": 1,
            "worker": "cpu",
            "model": "base",
            "device": "cpu",
            "compute_type": "int8",
            "download_seconds": None,
            "load_seconds": None,
            "transcribe_seconds": None,
            "diarize_seconds": None,
            "started_at": "2023-11-14T22:13:20.000Z",
            "finished_at": "2023-11-14T22:13:30.000Z",
            "outcome": "failed",
            "error": {
                "code": "no_audio_stream",
                "message": "the file has no sound",
                "advice": "play it; it may be the wrong one",
                "detail": "",
            },
            "exit_status": None,
            "signal": None,
            "audio_seconds": 40.0,
            "real_time_factor": 0.25,
        }
    ]


async def test_a_number_with_zeros_before_it(server: Server) -> None:
    for text, id_ in (("0" * 40 + "1", "1"), ("0", "0"), ("9" * 30, "9")):
        problem = await server.get(f"/v1/jobs/{text}", status=404)
        assert problem["detail"].startswith(f"there is no job {id_}")
