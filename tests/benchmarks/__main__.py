"""All figures, one after the other: python tests/benchmarks [--quick]."""

import bench
import client
import memory
import overhead

if __name__ == "__main__":
    small = bench.quick(__doc__)
    for benchmark in (client, overhead, memory):
        benchmark.main(quick=small)
