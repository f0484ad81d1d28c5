"""From a file in a folder to a job in the queue.

watch   one inbox, looked at again and again
hints   notifications of the kernel
scan    what lies in it
rules   which files are recordings
settle  which of them have stopped changing
intake  from there into the queue, and files that were uploaded
upload  a file on its way into an inbox
"""
