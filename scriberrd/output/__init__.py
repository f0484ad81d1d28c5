"""From a transcript to its files.

publisher    whatever changes what is published of a recording, one at a time
publication  every format into place, and nobody else's file touched
naming       the names that it may have there
staging      the steps of that in the folder itself
published    looks at files that were published
formats      how a transcript is written
"""
