"""What the libraries of a worker find in their environment; prepared before any is imported."""

from __future__ import annotations

import os

VARIABLES = {
    # Clips are decoded side by side, each on one core: threads within one gain little, and the
    # last bits of what they compute, and the text with them, would depend on their number.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # No user has agreed to telemetry.
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # of onnxruntime, which the voice detector runs on
    "PYANNOTE_METRICS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def prepare() -> None:
    """Set the variables, and the token of the model hub that systemd keeps as a credential."""
    os.environ.update(VARIABLES)
    token = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", ""), "hf_token")
    if not os.environ.get("HF_TOKEN") and os.path.isabs(token) and os.access(token, os.R_OK):
        with open(token, encoding="utf-8") as file:
            os.environ["HF_TOKEN"] = file.read().strip()
