"""From a file in a folder to a job in the queue.

watch          the areas of one inbox: as they come and go
areas          which ones there are: one for each file system
area           the loop that watches one
notify         from the kernel: hints that something has changed
scan           the files in an area
lanes          settled files, by size, until they are queued
rules          which files are recordings
settle         which files have stopped changing
arrivals       queue the files that have settled, unless they are known
existing       what was there before: is it passed over?
reading        what a file is, and what lies beside it
sidecars       what that says of how it is to be done
mending        what may be mended without a trace: looked at again
intake         queue what people order: files, uploads, and jobs again
ordering       how a job is to be done
upload         store an uploaded file in an inbox
explain        what becomes of one file, and why
"""
