"""What a transcript is written as: one module a format, which describes itself."""

from __future__ import annotations

from scriberrd.output.formats import canonical, srt, txt, vtt

FORMATS = {one.name: one for one in (canonical.FORMAT, txt.FORMAT, srt.FORMAT, vtt.FORMAT)}
