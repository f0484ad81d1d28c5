"""What can be set once for all inboxes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from scriberrd.hours import Hours
from scriberrd.settings import Positive
from scriberrd.units import Bytes, Count, Seconds, Span

# Those of CTranslate2, which checks which of them the device supports.
ComputeType = Literal[
    "auto",
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
    "int16",
    "float16",
    "bfloat16",
    "float32",
]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description='a name of up to 64 letters, digits, "_", "." and "-",'
        " which begins with a letter or digit",
    ),
]
Device = Annotated[
    str,
    Meta(
        pattern=r"^(auto|cpu|cuda|cuda:\d+)$",
        description='"auto", "cpu", "cuda" (a GPU) or "cuda:N" (the GPU of number N, from 0)',
    ),
]


LABEL = r"[A-Za-z0-9_-]{1,63}"  # of the name of a host
PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
Address = Annotated[
    str,
    Meta(
        pattern=rf"^(|((\[[0-9a-fA-F:.]+\]|{LABEL}(\.{LABEL})*):)?{PORT})$",
        description='"HOST:PORT", "PORT" of this machine alone, or "" for none;'
        " a port is from 1 to 65535",
    ),
]


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """`[daemon]`: settings for all inboxes and workers."""

    state_dir: str = ""  # databases and lock; load() fills in the default
    socket: str = ""  # of the API; load() fills in the default
    auto_download: bool = True
    model_cache: str = ""
    rescan: Span = Span(60)
    ageing: Seconds = Seconds(3600)
    stop_timeout: Seconds = Seconds(30)
    max_upload: Bytes = Bytes(4 << 30)
    backup: Seconds = Seconds(86400)
    backups: Positive = 7
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """`[api]`: who may use the API, and where metrics are."""

    group: str = ""
    metrics: Address = ""


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """`[[worker]]`: a pool of worker processes on one device."""

    name: Name
    device: Device = "auto"
    diarize_device: Device = "auto"
    count: Count = Count(0)  # 0: auto, until the daemon has looked at the machine
    threads: Count = Count(0)
    compute_type: ComputeType = "auto"
    cpu_fallback: bool = False
    hours: Hours = Hours()
    idle_unload: Seconds = Seconds(300)
    heartbeat_timeout: Span = Span(60)
    stall_timeout: Span = Span(600)


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """`[retry]`: how often and how soon a recording is tried again."""

    attempts: Positive = 3
    backoff: Seconds = Seconds(30)
    backoff_max: Seconds = Seconds(3600)
    interruptions: Positive = 5
    soft_limit: Annotated[float, Meta(ge=0, le=1000)] = 10.0
    hard_limit: Annotated[float, Meta(ge=0, le=1000)] = 30.0
    limit_floor: Seconds = Seconds(600)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """`[retention]`: at which age something is deleted; 0 is never."""

    jobs: Seconds = Seconds(0)
    events: Seconds = Seconds(90 * 86400)
    transcripts: Seconds = Seconds(0)
    uploads: Seconds = Seconds(0)
    library: Seconds = Seconds(0)
    library_size: Bytes = Bytes(1 << 30)
