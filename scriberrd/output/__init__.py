"""From a transcript to its files.

publication  every format into place, and nobody else's file touched
staging      the steps of that in the folder itself
published    looks at files that were published
formats      how a transcript is written
"""
