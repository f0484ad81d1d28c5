"""faster-whisper as its users call it, in a process of its own.

python bare.py WAY MODEL THREADS LANGUAGE FILE prints what it found and what it took, as JSON.
LANGUAGE may be auto.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel

WAYS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "vad_filter": {"vad_filter": True},
    "batched 8": {"batch_size": 8},
}


def main() -> None:
    way, name, threads, language, file = sys.argv[1:]
    model = WhisperModel(name, device="cpu", compute_type="int8", cpu_threads=int(threads))
    caller = BatchedInferencePipeline(model) if "batch_size" in WAYS[way] else model
    began, computed = time.perf_counter(), time.process_time()
    found, _ = caller.transcribe(
        file,
        language=None if language == "auto" else language,
        beam_size=5,
        word_timestamps=True,
        **WAYS[way],
    )
    segments = list(found)
    figures = {
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - computed,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "segments": [[one.start, one.end] for one in segments],
        "words": [[word.start, word.end, word.word] for one in segments for word in one.words],
        "gaps": [],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
