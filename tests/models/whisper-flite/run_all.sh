#!/bin/sh
# Everything from nothing: about 90 minutes on two cores.  See README.md.
set -e
mkdir -p work
gcc -O2 flite_align.c -o work/flite_align -lflite_cmu_us_slt -lflite_cmu_us_rms -lflite_cmu_us_awb \
    -lflite_cmu_us_kal16 -lflite_usenglish -lflite_cmulex -lflite -lm
python synth.py --shards 10 --per-shard 2000
OMP_WAIT_POLICY=PASSIVE nice -n 10 python train.py --minutes 80 --phase2 0.35
python export.py work/last.pt model
python evaluate.py model
