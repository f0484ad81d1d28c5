"""From a file in a folder to a job in the queue.

watch          the areas of one inbox: as they come and go
areas          which ones there are: one for each file system
area           the loop that watches one
notify         from the kernel: hints that something has changed
scan           the files in an area
lanes          settled files, by size, until they are queued
rules          which files are recordings
settle         which files have stopped changing
existing       what was there before: is it passed over?
intake         queue settled and uploaded files
upload         store an uploaded file in an inbox
"""
