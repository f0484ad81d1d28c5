"""Files and folders of others: opened and named safely.

sources  recordings: opened without following links, and known by their bytes
names    files that appear whole, under their name, or not at all
folders  calls that may never return, each in a thread of its own
mounts   where something is mounted
"""
