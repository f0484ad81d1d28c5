"""What the diarizing worker is measured against, and what clustering alone takes.

python bare_diarization.py pipeline FOLDER WAV     the pipeline on a recording
python bare_diarization.py clustering NUMBER       so many voices compared with each other
python bare_diarization.py both FOLDER WAV MODEL   faster-whisper, and then the pipeline
"""

from __future__ import annotations

import os
import sys
import wave

import numpy as np
from scipy.cluster.hierarchy import linkage

DIMENSION = 256  # of the embeddings of speaker-diarization-community-1


def pipeline(folder: str, path: str) -> None:
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # before the import
    import torch  # noqa: PLC0415 - not for clustering
    from pyannote.audio import Pipeline  # noqa: PLC0415

    torch.set_num_threads(1)
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    waveform = torch.from_numpy(samples.astype(np.float32) / 32768)[None]
    Pipeline.from_pretrained(folder)({"waveform": waveform, "sample_rate": 16000})


def clustering(number: int) -> None:
    """As pyannote's VBxClustering begins: the rest of it needs far less."""
    voices = np.random.default_rng(1).normal(size=(number, DIMENSION))
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    linkage(voices, method="centroid", metric="euclidean")


def both(folder: str, path: str, model: str) -> None:
    from faster_whisper import WhisperModel  # noqa: PLC0415 - not for the others

    engine = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1)
    list(engine.transcribe(path, language="en", word_timestamps=True, vad_filter=True)[0])
    pipeline(folder, path)


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "clustering":
        clustering(int(given[0]))
    else:
        {"pipeline": pipeline, "both": both}[what](*given)
