"""The moments that people and programs look for: each has a MESSAGE_ID in the journal.

An id never changes and is never used again: alerts depend on it. docs/journal.md explains them.
"""

from __future__ import annotations

import enum


class Event(enum.StrEnum):
    """Its value is the MESSAGE_ID; its name, in small letters, stands in JSON lines."""

    READY = "f1315933993849f48d070df98fa4dce8"
    RELOADED = "b278f4085956485f958e83e83b700236"
    RELOAD_REFUSED = "f3cd66240c7b4fd5be242975984a6c07"
    STOPPING = "2dddfef870c34d0b8ea69b51fafd496b"
    STOPPED = "0072593dfce845499bd6e71cc1136a54"
    UNHEALTHY = "14f177453e4e456398c7d1ca850824b3"

    JOB_QUEUED = "3c45d09779974bb9acc55402b31ac7d4"
    JOB_STARTED = "4b5493445e3c482ea6705cd2e475ce55"
    JOB_PREPARING = "ccece3d200604695a22bf25c91976fee"
    JOB_TRANSCRIBING = "b9c677de1b864e2680d9112407f225de"
    JOB_DIARIZING = "f62858b663e548d583bfd9a8ded5489a"
    JOB_PUBLISHED = "9a91037081c24a479139db1d5f615648"
    JOB_COMPLETED = "ba1573c294cb44c690ad4393809a2e2d"
    JOB_RETRIED = "54d0d592cb92407aaaeb60472c5a3559"
    JOB_RELEASED = "351e38dec0ae4d0bbdde951e5d9ceac3"
    JOB_FAILED = "bc42e9a8b00342c9b86d499c8eb408e0"
    JOB_CANCELED = "34b2569244f6464d83288ff52cd9e295"
    JOB_REMOVED = "e1eb1ea29b574e4aae25fc8529f6f9b3"
    RECORDING_LEFT = "fb128180bff24b14bc1d340ce1daeea7"
    RECORDING_STAYS = "38125c137fad4f40aa94cb8ca5117ec8"

    WORKER_STARTED = "0f0a456dfab546d39997517f12b04734"
    WORKER_DIED = "102669e46cfc4002a5761faa5b8d63c5"
    OUTAGE = "5cdbf06c98424cd397ed759898d70dfe"
    OUTAGE_OVER = "47646831a8db45dbb716a3d53cc2cafc"
