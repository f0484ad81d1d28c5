"""From the claim of a job to the end of its run.

dispatch    the slots of all worker pools, and what becomes of a run that has ended
gate        who may claim what, and when
breaker     what is out of order, and when it is tried again
preemption  which run makes way for an urgent job
slot        one run at a time, and its worker process
process     a worker process: spawned, talked to, killed
printed     what it prints
oom         whether the kernel killed it because memory ran out
limits      how long a run may take
ladder      what the next run does with less, when memory did not suffice
stages      what a job goes through
"""
