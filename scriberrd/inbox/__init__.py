"""From a file in a folder to a job in the queue.

watch          the loop that watches one inbox
notifications  from the kernel: hints that something has changed
scan           the files in an inbox
rules          which files are recordings
settle         which files have stopped changing
intake         queue settled and uploaded files
upload         store an uploaded file in an inbox
explain        what becomes of one file, and why
"""
