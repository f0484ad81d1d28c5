"""Jobs, durably in SQLite.

store         the open database
faults        what the errors of SQLite mean
transactions  all of a change, or nothing
schema.sql    the tables
migrations    from older tables to these
columns       what rows hold
jobs          every change of a job
queries       every look at jobs
about         all that is known of one file
lock          one daemon at a time
retention     what is forgotten for its age
backup        copies of the database
restore       what is done with a damaged one
"""
