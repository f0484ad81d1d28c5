"""Whether a diarizer can be used: `python -m scriberrd.worker.preflight DIARIZER MODEL CACHE AUTO`.

CACHE is the model cache ("" for the hub's own), AUTO is 1 if models may be downloaded. Prints one
line of JSON: `code` of the failure that a job would have, or null, and its `detail`. It loads no
model and takes a moment, but for a question to the model hub where something is to be downloaded.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

from scriberrd.errors import TaskFailed
from scriberrd.worker import environment


def main() -> None:
    """See, and print it."""
    diarizer, model, cache, auto = sys.argv[1:]
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print goes to the journal
    environment.prepare()
    from scriberrd.worker import diarizers  # noqa: PLC0415 - in the environment that is prepared
    from scriberrd.worker.describe import describe  # noqa: PLC0415

    code, detail = None, ""
    try:
        diarizers.check(diarizers.Wanted(diarizer, model, "auto", 1, cache, auto == "1"))
    except TaskFailed as error:
        code, detail = error.failure, error.detail
    except Exception as error:  # noqa: BLE001 - whatever plug-ins raise
        traceback.print_exc()
        code, detail = "diarizer_missing", describe(error)
    os.write(out, json.dumps({"code": code, "detail": detail}).encode() + b"\n")


if __name__ == "__main__":
    main()
