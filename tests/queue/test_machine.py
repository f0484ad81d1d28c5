"""Any order of moves, by any holder, at any time: what must hold of the queue always holds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from msgspec.structs import replace
from support import block

from scriberrd import config, toml
from scriberrd.errors import IllegalMove, LeaseLost, WorkerDied
from scriberrd.failures import FAILURES
from scriberrd.model import TERMINAL, Fallback, Identity, JobState, Priority, Scope, Source
from scriberrd.protocol import Finished
from scriberrd.queue import jobs, queries, store
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings

RECORDINGS = [("one", b"a.wav"), ("one", b"b.wav"), ("two", b"a.wav"), ("two", b"sub/c\xff.wav")]
SCOPES = [Scope("everything"), Scope("inbox", "one"), Scope("inbox", "two"), Scope("worker", "gpu")]
AGEING = 600.0
URGENT, HIGH = 0, 1
# Waits hardly at all, so that second and third failures come up often.
RETRY = config.Retry(attempts=2, backoff=toml.Seconds(0.001), backoff_max=toml.Seconds(60))
CODES = ["worker_crashed", "out_of_memory", "invalid_media", "disk_full", "source_changed"]
STEP = Fallback("batch_size", "2", "1")
LIMIT = 3  # interruptions
QUEUED = {"submitted", "superseded", "released", "retried", "redone"}  # events


class Queue(RuleBasedStateMachine):
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name, "queue.db")
        self.db = store.connect(self._path)
        self.now = 1_000_000.0
        self.versions = dict.fromkeys(RECORDINGS, 0)
        self.turns = {"one": 0, "two": 0}
        self.paused: set[Scope] = set()
        self.leases: dict[int, int] = {}
        self.states: dict[int, JobState] = {}
        self.valid: dict[int, jobs.Lease] = {}
        self.blocks: dict[int, int] = {}
        self.moved: set[int] = set()  # jobs whose present run has made a checkpoint
        self.pruned: dict[bytes, Any] = {}
        self.revived: set[int] = set()
        self.put_off: set[int] = set()  # jobs that were, since their latest claim

    def teardown(self) -> None:
        self.db.close()
        self._folder.cleanup()

    def _do(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        with transaction(self.db):
            return function(self.db, *args, **kwargs)

    @rule(
        recording=st.sampled_from(RECORDINGS),
        change=st.booleans(),
        touch=st.booleans(),
        readable=st.sampled_from([True, True, False]),
        priority=st.sampled_from(["urgent", "high", "normal", "low"]),
    )
    def submit(
        self,
        recording: tuple[str, bytes],
        change: bool,
        touch: bool,
        readable: bool,
        priority: Any,
    ) -> None:
        self.versions[recording] += change
        version = self.versions[recording]
        inbox, path = recording
        identity = Identity(1, 2, 3, version, version * 1000 + touch)
        sha256 = f"{inbox}{path.hex()}{version}"
        source = Source(inbox, path, identity, sha256 if readable else None)
        pruned = self.pruned.pop(recording, None)
        before = self._do(jobs.newest, inbox, path) or pruned
        job, new = self._do(
            jobs.submit,
            source,
            profile="default",
            settings=Settings(priority=priority),
            now=self.now,
        )
        same = before is not None and before.identity[:-1] == identity[:-1]
        assert job.identity == identity
        assert job.sha256 == (before.sha256 if same and not readable else source.sha256)
        if pruned is not None and not new:  # no news of what is forgotten
            self.pruned[recording] = job
            assert self._do(jobs.newest, inbox, path) is None
            assert not any(self._do(jobs.unknown, inbox, [(path, identity)]))
        elif pruned is not None and job.id == pruned.id:
            self.revived.add(pruned.id)
        if new:
            self.put_off.discard(job.id)
        if not same:
            assert new
            assert job.state is JobState.QUEUED
            self.valid.pop(job.id, None)  # whoever worked on the old version is fenced off
            self.blocks[job.id] = 0
        elif before.state is JobState.FAILED:
            assert job.id == before.id
        else:
            assert (job.id, job.state, new) == (before.id, before.state, False)

    def _due(self) -> list[Any]:
        return [
            job
            for job in queries.find(self.db, states=[JobState.QUEUED], limit=100)
            if job.not_before <= self.now or job.not_before > self.now + RETRY.backoff_max
            if not {Scope("everything"), Scope("inbox", job.inbox)} & self.paused
        ]

    def _place(self, job: Any) -> Any:
        """Where a job stands in the order; the smallest is next."""
        queued_at = min(job.queued_at, self.now)  # the clock may have been ahead
        steps = int((self.now - queued_at) / AGEING)
        priority = max(min(job.priority, HIGH), job.priority - steps)
        return priority, self.turns[job.inbox], queued_at, job.created_at, job.id

    @rule(
        target=leases,
        pool=st.sampled_from(["cpu", "gpu"]),
        out=st.sampled_from([None, None, "one", "two"]),
    )
    def claim(self, pool: str, out: str | None) -> Any:
        """The next one, of those that do not come from the inbox that is out."""
        self.now += 1
        due = self._due()
        times = {"now": self.now, "expires": 1.0, "longest": RETRY.backoff_max}
        order = {"pool": pool, "ageing": AGEING}
        job = self._do(
            jobs.claim,
            "worker",
            admit=lambda job: 50.0 if job.inbox == out else 0.0,
            **order,
            **times,
        )
        able = [job for job in due if job.inbox != out]
        for one in due:
            if one.inbox == out and queries.get(self.db, one.id).not_before == self.now + 50.0:
                self.put_off.add(one.id)
        if job is None:
            assert able == [] or Scope("worker", pool) in self.paused
            return multiple()
        assert Scope("worker", pool) not in self.paused
        assert job.id == min(able, key=self._place).id
        self.put_off.discard(job.id)
        self.turns[job.inbox] = max(self.turns.values()) + 1
        assert job.lease > self.leases.get(job.id, 0)
        assert job.id not in self.valid
        self.moved.discard(job.id)
        self.valid[job.id] = jobs.Lease(job.id, job.lease)
        return self.valid[job.id]

    @rule()
    def readmit(self) -> None:
        waiting = [job for job in queries.find(self.db, limit=100) if job.not_before > self.now]
        self._do(jobs.readmit)
        for job in waiting:
            if job.state is JobState.QUEUED:
                put_back = queries.get(self.db, job.id).not_before == 0
                assert put_back == (job.id in self.put_off)
        self.put_off -= {
            job.id for job in queries.find(self.db, states=[JobState.QUEUED], limit=100)
        }

    def _fenced(self, lease: jobs.Lease, function: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether the move happened; a stale holder's must not, nor leave a trace."""
        if self.valid.get(lease.job) == lease:
            self._do(function, lease, *args, **kwargs)
            return True
        before = self._snapshot()
        with pytest.raises(LeaseLost):
            self._do(function, lease, *args, **kwargs)
        assert self._snapshot() == before
        return False

    def _held(self, lease: jobs.Lease) -> Any:
        """The job, if this holder's lease is valid: that of another may have been pruned."""
        return queries.get(self.db, lease.job) if self.valid.get(lease.job) == lease else None

    def _snapshot(self) -> list[Any]:
        tables = ("job", "checkpoint", "execution", "output", "event", "turn", "pause")
        return [self.db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]

    @rule(lease=leases, progress=st.floats(0, 100))
    def renew(self, lease: jobs.Lease, progress: float) -> None:
        self._fenced(lease, jobs.renew, expires=2.0, progress=progress)

    @rule(lease=leases)
    def checkpoint(self, lease: jobs.Lease) -> None:
        number = self.blocks.get(lease.job, 0)
        if self._fenced(lease, jobs.checkpoint, block(number), expires=2.0, now=self.now):
            self.blocks[lease.job] = number + 1
            self.moved.add(lease.job)
            assert queries.get(self.db, lease.job).interruptions == 0

    @rule(lease=leases)
    def transcribed(self, lease: jobs.Lease) -> None:
        if self.blocks.get(lease.job, 0):
            finished = Finished(job=lease.job, lease=lease.token, duration=10.0, warnings=())
            self._fenced(lease, jobs.transcribed, finished, now=self.now)

    @rule(lease=leases)
    def reserve(self, lease: jobs.Lease) -> None:
        self._fenced(lease, jobs.reserve, [b"%d.json" % lease.job])

    @rule(lease=leases)
    def finish(self, lease: jobs.Lease) -> None:
        if self._fenced(lease, jobs.finish, language="en", now=self.now):
            self._ended(lease, JobState.COMPLETED)
            self.blocks[lease.job] = 0

    @rule(lease=leases, code=st.sampled_from(CODES), stepping=st.booleans())
    def fail(self, lease: jobs.Lease, code: str, stepping: bool) -> None:
        before = self._held(lease)
        step = STEP if stepping and code == "out_of_memory" else None
        died = WorkerDied(-9, "words") if FAILURES[code].deadly else None
        if self._fenced(
            lease, jobs.fail, code, "", retry=RETRY, now=self.now, died=died, step=step
        ):
            job = queries.get(self.db, lease.job)
            fault = FAILURES[code].fault
            failures = before.failures + (fault == "worker")
            if step is not None:  # never the last one
                failures = min(failures, RETRY.attempts - 1)
            assert job.fallbacks == before.fallbacks + ((step,) if step else ())
            assert job.deaths == before.deaths + FAILURES[code].deadly
            assert queries.executions(self.db, job.id)[-1].returncode == (died and -9)
            if before.cancel_requested:
                expected = JobState.CANCELED
            elif fault == "file" or (fault == "worker" and failures >= RETRY.attempts):
                expected = JobState.FAILED
            else:
                expected = JobState.QUEUED
                if FAILURES[code].part or step:  # the machine waits; with less it may be tried now
                    assert job.not_before == self.now
                else:
                    assert 0 < job.not_before - self.now <= RETRY.backoff_max
            self._ended(lease, expected)
            if not before.cancel_requested:
                assert job.failures == failures

    @rule(lease=leases)
    def release(self, lease: jobs.Lease) -> None:
        before = self._held(lease)
        if self._fenced(lease, jobs.release, now=self.now):
            self._ended(lease, JobState.CANCELED if before.cancel_requested else JobState.QUEUED)
            after = queries.get(self.db, lease.job)
            assert (after.failures, after.interruptions) == (before.failures, before.interruptions)

    def _ended(self, lease: jobs.Lease, state: JobState) -> None:
        del self.valid[lease.job]
        assert queries.get(self.db, lease.job).state is state

    @rule(data=st.data(), verb=st.sampled_from([jobs.cancel, jobs.retry]))
    def order(self, data: Any, verb: Any) -> None:
        known = queries.find(self.db, limit=100)
        if not known:
            return
        job = data.draw(st.sampled_from(known))
        try:
            after = self._do(verb, job.id, self.now)
        except IllegalMove:
            assert queries.get(self.db, job.id) == job
        else:
            if verb is jobs.retry:
                assert (after.state, after.failures) == (JobState.QUEUED, 0)
                self.put_off.discard(job.id)
                assert (after.interruptions, after.fallbacks) == (0, ())
            else:
                assert after.state is JobState.CANCELED or after.cancel_requested

    @rule(data=st.data(), priority=st.sampled_from(Priority))
    def prioritize(self, data: Any, priority: Priority) -> None:
        known = queries.find(self.db, limit=100)
        if not known:
            return
        job = data.draw(st.sampled_from(known))
        try:
            after = self._do(jobs.prioritize, job.id, priority, self.now)
        except IllegalMove:
            assert job.state is not JobState.QUEUED
            assert queries.get(self.db, job.id) == job
        else:
            assert after == replace(job, priority=priority)

    @rule(data=st.data())
    def redo(self, data: Any) -> None:
        known = queries.find(self.db, limit=100)
        if not known:
            return
        job = data.draw(st.sampled_from(known))
        settings = Settings(model="other")
        try:
            after = self._do(jobs.redo, job.id, profile="other", settings=settings, now=self.now)
        except IllegalMove:
            assert queries.get(self.db, job.id) == job
            return
        assert job.state in TERMINAL
        assert (after.state, after.redo, after.settings) == (JobState.QUEUED, True, settings)
        assert after.outputs == job.outputs
        self.blocks[job.id] = 0
        self.put_off.discard(job.id)

    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        known = {job.id: job for job in queries.find(self.db, limit=100)}
        if not known:
            return
        job = known[data.draw(st.sampled_from(list(known)))]
        if job.state not in TERMINAL:
            with pytest.raises(IllegalMove):
                self._do(jobs.remove, job.id, self.now)
            return
        assert self._do(jobs.remove, job.id, self.now) == job
        gone = self._forgotten(known, "removed")
        assert gone == [
            one
            for one in known.values()
            if (one.inbox, one.path) == (job.inbox, job.path) and one.id <= job.id
        ]

    @rule(age=st.sampled_from([0.0, 100.0]))
    def prune(self, age: float) -> None:
        known = {job.id: job for job in queries.find(self.db, limit=100)}
        self._do(jobs.prune, sorted(known), self.now - age, now=self.now)
        for job in self._forgotten(known, "pruned"):
            assert job.finished_at is not None
            assert job.finished_at < self.now - age
            assert job.state is not JobState.FAILED

    def _forgotten(self, known: dict[int, Any], event: str) -> list[Any]:
        """Those of the known jobs that have gone, each told of; their recordings are no news."""
        left = {job.id for job in queries.find(self.db, limit=100)}
        gone = [job for job in known.values() if job.id not in left]
        events = [one for one in queries.events(self.db, 0, 1000) if one.at == self.now]
        told = {one.data["id"] for one in events if one.type == event}
        assert {job.id for job in gone} <= told
        for job in gone:
            id_ = job.id
            assert job.state in TERMINAL
            del self.states[id_]
            self.put_off.discard(id_)
            self.blocks[id_] = 0
        for job in {(job.inbox, job.path): job for job in reversed(gone)}.values():  # the newest
            if self._do(jobs.newest, job.inbox, job.path) is None:
                self.pruned[job.inbox, job.path] = job
                found = [(job.path, job.identity)]
                assert not any(self._do(jobs.unknown, job.inbox, found))
        return gone

    @rule(scope=st.sampled_from(SCOPES), verb=st.sampled_from(["pause", "resume"]))
    def pause_or_resume(self, scope: Scope, verb: str) -> None:
        if verb == "pause":
            self._do(jobs.pause, [scope], reason="", now=self.now)
            self.paused.add(scope)
        else:
            self._do(jobs.resume, [scope], now=self.now)
            self.paused -= {scope} if scope.name else self.paused

    @rule()
    def crash(self) -> None:
        """The daemon dies; the next one opens the file and takes everything back."""
        processing = {job.id: job for job in queries.processing(self.db)}
        self.db.close()
        self.db = store.connect(self._path)
        recovered = self._do(jobs.recover, self.now, limit=LIMIT, leaving=lambda _: None)
        assert {job.id for job in recovered} == processing.keys()
        for job in recovered:
            before = processing[job.id]
            assert job.interruptions == before.interruptions + (job.id not in self.moved)
            assert job.failures == before.failures
            if before.cancel_requested:
                assert job.state is JobState.CANCELED
            elif job.interruptions >= LIMIT:
                assert (job.state, job.error_code) == (JobState.FAILED, "interrupted_too_often")
            else:
                assert job.state is JobState.QUEUED
        self.valid.clear()

    @rule(jump=st.one_of(st.floats(0, 4000), st.sampled_from([-86400.0, 3.2e8])))
    def time_passes(self, jump: float) -> None:
        self.now += jump

    @invariant()
    def pauses_last_until_resumed(self) -> None:
        assert {pause.scope for pause in jobs.paused(self.db)} == self.paused

    @invariant()
    def urgent_jobs_are_known(self) -> None:
        due = [job for job in self._due() if job.id not in self.put_off]
        urgent = [job for job in due if job.priority == URGENT]
        times = {"now": self.now, "longest": RETRY.backoff_max}
        assert jobs.urgent_due(self.db, limit=100, **times) == len(urgent)

    @invariant()
    def at_most_one_valid_holder(self) -> None:
        held = {job.id: job.lease for job in queries.processing(self.db)}
        assert held == {lease.job: lease.token for lease in self.valid.values()}

    @invariant()
    def budgets_are_kept(self) -> None:
        for job in queries.find(self.db, limit=100):
            if job.state not in TERMINAL:
                assert job.failures < RETRY.attempts
                assert job.interruptions < LIMIT

    @invariant()
    def leases_only_grow(self) -> None:
        for job in queries.find(self.db, limit=100):
            assert job.lease >= self.leases.get(job.id, 0)
            self.leases[job.id] = job.lease

    @invariant()
    def nothing_disappears_and_each_change_has_its_event(self) -> None:
        found = {job.id: job.state for job in queries.find(self.db, limit=100)}
        assert self.states.keys() <= found.keys()
        for id_, state in found.items():
            events = queries.events(self.db, 0, 1000, id_)
            expected = {
                JobState.QUEUED: {*QUEUED, "prioritized"},
                JobState.PROCESSING: {"claimed", "checkpointed", "cancel_requested"},
                JobState.COMPLETED: {"finished"},
                JobState.FAILED: {"failed"},
                JobState.CANCELED: {"canceled"},
            }[state]
            # Events go with a job, and do not come back with it.
            assert (id_ in self.revived and not events) or events[-1].type in expected
        self.states = found

    @invariant()
    def one_live_job_for_each_recording(self) -> None:
        found = queries.find(self.db, limit=100)
        live = [(job.inbox, job.path) for job in found if job.state not in TERMINAL]
        assert len(live) == len(set(live))

    @invariant()
    def the_tally_is_right(self) -> None:
        counted = dict.fromkeys(JobState, 0)
        for job in queries.find(self.db, limit=100):
            counted[job.state] += 1
        assert queries.counts(self.db) == counted

    @invariant()
    def checkpoints_last_until_the_end(self) -> None:
        for job in queries.find(self.db, limit=100):
            numbers = [one.number for one in list(queries.Blocks(self.db, job.id))]
            assert numbers == list(range(self.blocks.get(job.id, 0)))
            # Or the next run would publish what is not there.
            assert numbers or jobs.work(self.db, job.id).finished is None


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=100,
    stateful_step_count=40,
)
