"""From the claim of a job to the end of its run.

dispatch     the slots of all worker pools: claim, run, end
admission    who may claim what, and when
breaker      the circuit breaker: what is out of order, and when it is tried again
preemption   which run makes way for an urgent job
machine      the cores and the memory that there are
capacity     how many processes these bear, and each run's share of the cores
slot         a place in a pool, and its worker process
run          one run of a job: the loop that reads its messages
messages     what a run is told
errands      what a run has its worker processes do
supervision  whether a run gets on: heartbeats, lease, time limits
stages       what a job goes through
rendering    transcripts that are written again without a worker
process      a worker process: spawned, talked to, killed
printed      what it prints
oom          whether the kernel killed it because memory ran out
fallbacks    what the next run does with less, when memory did not suffice
"""
