"""All figures, one after the other: python tests/benchmarks [--quick]."""

import arrivals
import bench
import client
import lock
import memory
import overhead
import publishing

if __name__ == "__main__":
    small = bench.quick(__doc__)
    for benchmark in (client, lock, arrivals, publishing, overhead, memory):
        benchmark.main(quick=small)
