"""What the daemon is measured against: one process with faster-whisper and a loop.

python bare.py THREADS OUTPUT FILE...
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from bench import MODEL
from faster_whisper import WhisperModel


def main() -> None:
    threads, output, *files = sys.argv[1:]
    model = WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=int(threads))
    for file in files:
        found, _ = model.transcribe(
            file,
            language="en",
            beam_size=5,
            word_timestamps=True,
            vad_filter=True,
            condition_on_previous_text=True,
        )
        segments = [asdict(segment) for segment in found]
        text = " ".join(segment["text"].strip() for segment in segments)
        Path(output, Path(file).stem + ".json").write_text(
            json.dumps({"text": text, "segments": segments})
        )


if __name__ == "__main__":
    main()
