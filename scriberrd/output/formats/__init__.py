"""What a transcript is written as: one module a format, which describes itself."""

from __future__ import annotations

from scriberrd.output.formats import canonical, rttm, srt, txt, vtt

FORMATS = {one.FORMAT.name: one.FORMAT for one in (canonical, txt, srt, vtt, rttm)}
