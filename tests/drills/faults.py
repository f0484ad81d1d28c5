"""The faults that are drilled: each test says which of them it injects."""

from __future__ import annotations

FAULTS = {
    1: "kill -9 of the daemon at a commit",
    2: "kill -9 of the daemon between publishing and the commit",
    3: "kill -9 of a worker",
    4: "a recording that crashes its worker each time",
    5: "a worker that is killed because memory runs out",
    6: "a worker that lives and makes no progress",
    7: "a worker that ignores SIGTERM",
    8: "a stopped worker that wakes late",
    9: "workers whose daemon dies",
    10: "SIGTERM of the daemon in mid-job",
    11: "a reload with a bad configuration",
    12: "a daemon whose event loop is blocked",
    13: "a power cut",
    14: "no space left for a transaction",
    15: "no space left for a checkpoint",
    16: "a disk that fails",
    17: "a read-only file system",
    18: "damaged pages of the database",
    19: "a file that is no database, or another application's",
    20: "a database of a newer scriberrd",
    21: "kill -9 of the daemon during a migration",
    22: "another process that holds the write lock",
    23: "two daemons",
    24: "a clock that jumps",
    25: "suspend and reboot",
    28: "an inbox that is not there, or does not answer",
    38: "an output folder that is full or read-only",
    40: "a model, a device or a hub that is not there",
}
