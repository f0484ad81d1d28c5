"""Safe access to files and folders that others own.

sources  recordings: open them without following links, and fingerprint them
names    give a complete file its name atomically
folders  calls that may never return, each in a thread of its own
mounts   mount points
"""
