"""What can be known of an installation before a recording shows it: `check` and `doctor`.

service      the installed unit: its user and environment, and to look as that user does
foresight    what of the configuration can't work here
examine      everything else, a line for each part
report       the lines for people and programs
"""
