"""Figures, one after the other; all, or those that are named.

python tests/benchmarks [--quick] [NAME ...]
"""

from __future__ import annotations

import argparse

import answers
import arrivals
import idle
import lock
import memory
import overhead
import publishing

BENCHMARKS = {
    one.__name__: one for one in (answers, idle, lock, arrivals, publishing, overhead, memory)
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works")
    given = parser.parse_args()
    for name in given.names or BENCHMARKS:
        BENCHMARKS[name].main(quick=given.quick)
