"""What the bare pipeline makes of a recording: python bare.py FOLDER WAV prints its turns."""

from __future__ import annotations

import json
import os
import sys
import wave

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # before the import

import numpy as np
import torch
from pyannote.audio import Pipeline


def main() -> None:
    folder, path = sys.argv[1:]
    torch.set_num_threads(1)
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    waveform = torch.from_numpy(samples.astype(np.float32) / 32768)[None]
    found = Pipeline.from_pretrained(folder)({"waveform": waveform, "sample_rate": 16000})
    print(json.dumps(found.serialize()))


if __name__ == "__main__":
    main()
