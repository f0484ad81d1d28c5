"""What daemon and worker say to each other: one JSON line a message, on private descriptors.

The daemon sends commands over a Unix socket, so that a `Task` can carry the open recording with
it as a descriptor (SCM_RIGHTS): a worker opens no path of a recording. The worker replies over a
pipe. Every reply about a task names its job and lease; the daemon drops those of a task it has
given up. A process is sent either `Task` alone, or `Diarize` alone, which carries its recording
just so, or one `Pull`, and is heard of that alone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from scriberrd.settings import Settings
from scriberrd.transcript import BlockResult, Diarization, EngineInfo

# How the worker decodes: raised whenever the same settings come to give another text.
POLICY = 2
# How it diarizes: raised whenever the same settings come to give other turns.
DIARIZING = 1
MAX_LINE = 16 * 1024 * 1024  # bytes; a longer reply is babble, and its worker is killed


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker computes on, from its `[[worker]]` table."""

    device: str  # auto, cpu, cuda or cuda:N
    threads: int  # the cores that its process may use, at least 1: so many clips at once
    compute_type: str  # a CTranslate2 name, or "auto"


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task goes on: what the checkpoints of earlier runs say."""

    block: int  # the number of the next block
    position: float  # seconds: where it starts
    language: str | None
    language_probability: float | None


class Task(msgspec.Struct, frozen=True, kw_only=True, tag="task"):
    """Transcribe the recording whose descriptor comes with this message."""

    job: int
    lease: int
    settings: Settings
    hardware: Hardware
    share: int  # the clips that are decoded at once now; the text does not depend on it
    resume: Resume | None
    auto_download: bool
    model_cache: str  # a directory; "" is the cache of the Hugging Face hub


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how many speakers there are; 0: it is not known."""

    speakers: int = 0
    min_speakers: int = 0
    max_speakers: int = 0


class Diarize(msgspec.Struct, frozen=True, kw_only=True, tag="diarize"):
    """Tell the speakers of a recording apart; its descriptor comes with this message."""

    job: int
    lease: int
    diarizer: str
    model: str  # an id of the hub, or a folder
    hints: Hints
    track: int | Literal["default"]
    duration: float  # seconds that were transcribed: no more is diarized
    device: str  # auto, cpu, cuda or cuda:N
    threads: int  # the cores that its process may use, at least 1
    share: int  # the cores that it may use now; for all of this recording
    auto_download: bool
    model_cache: str  # as in a task


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """Give up the current task: at once, or when the block in progress is done."""

    job: int
    lease: int
    after_block: bool


class Share(msgspec.Struct, frozen=True, kw_only=True, tag="share"):
    """From the next clip on, decode so many clips of the current task at once."""

    job: int
    lease: int
    clips: int


class Pull(msgspec.Struct, frozen=True, kw_only=True, tag="pull"):
    """Have a model in the cache; a worker is given nothing else then."""

    model: str  # a name of the engine's, or an id of the hub
    model_cache: str  # as in a task


Command = Task | Diarize | Stop | Share | Pull


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat"):
    """Sent every second. `ticks` grows when the work moves, not merely because time passes."""

    job: int
    lease: int
    ticks: int
    position: float  # seconds of the recording that are transcribed
    done: float | None = None  # of a diarization, 0 to 1
    step: str | None = None  # what it does before it gets on, for people: "loading the model"


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The libraries are in memory, and nothing of the recording was read yet.

    What the worker dies of before is not the recording's fault; from now on it may be.
    """

    job: int
    lease: int


class Probed(msgspec.Struct, frozen=True, kw_only=True, tag="probed"):
    """The recording was opened: what the container says of it."""

    job: int
    lease: int
    container: str
    codec: str
    channels: int
    duration: float | None  # seconds; None when the container does not say
    track: int | None = None  # the one that was taken; None: not known


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded"):
    """The model is in memory: what the task runs on."""

    job: int
    lease: int
    engine: EngineInfo
    download_seconds: float | None = None  # None: it was on this machine
    load_seconds: float | None = None  # None: it was in memory, from the task before


class BlockDone(msgspec.Struct, frozen=True, kw_only=True, tag="block"):
    """A block is transcribed."""

    job: int
    lease: int
    block: BlockResult


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """All blocks are done."""

    job: int
    lease: int
    duration: float  # seconds that were decoded
    warnings: tuple[str, ...]


class DiarizerLoaded(msgspec.Struct, frozen=True, kw_only=True, tag="diarizer_loaded"):
    """The diarizer is in memory: what it runs on."""

    job: int
    lease: int
    model: str
    revision: str  # "" when it is not known
    device: str


class Diarized(msgspec.Struct, frozen=True, kw_only=True, tag="diarized"):
    """The speakers are told apart: the last reply."""

    job: int
    lease: int
    diarization: Diarization


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The task can't go on; `code` is a key of `failures.FAILURES`. The worker stays usable."""

    job: int
    lease: int
    code: str
    detail: str  # for people, without absolute paths


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag="stopped"):
    """The task was given up as asked. The worker stays usable."""

    job: int
    lease: int


Reply = (
    Heartbeat
    | Ready
    | Probed
    | Loaded
    | BlockDone
    | Finished
    | DiarizerLoaded
    | Diarized
    | Failed
    | Stopped
)


class Pulling(msgspec.Struct, frozen=True, kw_only=True, tag="pulling"):
    """A model is being downloaded; sent as it comes."""

    repository: str  # its id on the hub
    source: Literal["hub", "index"]
    license: str | None  # None: not stated
    bytes: int  # that have come
    total: int | None  # None: not known


class Pulled(msgspec.Struct, frozen=True, kw_only=True, tag="pulled"):
    """The model is in the cache; without a `Pulling` before, it was there."""

    repository: str
    revision: str
    license: str | None
    bytes: int  # of its files


class PullFailed(msgspec.Struct, frozen=True, kw_only=True, tag="pull_failed"):
    """The model can't be had; `code` is a key of `failures.FAILURES`, or None: unknown name."""

    code: str | None
    detail: str  # for people, without absolute paths


PullReply = Pulling | Pulled | PullFailed


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What a `[[worker]]` table asks of the machine."""

    device: str
    compute_type: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a survey looks at: all profiles by name, and all pools in their order."""

    model_cache: str
    profiles: dict[str, Settings]
    pools: list[Pool]
    libraries: bool  # the versions of what engines are made of, too


class Surveyed(msgspec.Struct, frozen=True, kw_only=True):
    """What a survey has found, without loading a model."""

    problems: list[tuple[str, str, str]]  # the table as problems spell it, its key, what is wrong
    gpus: int | str  # that CTranslate2 can use; or what is wrong with them
    packages: dict[str, str] = {}  # the versions; "": not installed
    ffmpeg: str = ""  # the version inside PyAV
    cublas: str = ""  # why cuBLAS can't be loaded, if there are GPUs
    compute_types: list[str] = []  # that CTranslate2 supports on this CPU
    models: list[tuple[str, str, str]] = []  # profile, model, what it lacks: "" if it is whole
    telemetry: bool = False  # whether onnxruntime reports to its maker


encode = msgspec.json.encode
decode_command = msgspec.json.Decoder(Command).decode
decode_reply = msgspec.json.Decoder(Reply).decode
decode_pull_reply = msgspec.json.Decoder(PullReply).decode
