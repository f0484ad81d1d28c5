"""Finished work, so that it is not done again.

library    what finished stages have made, kept by what it was made of
file       where that lies: opened when it is needed, set aside when it is damaged
shelf      the rows of that
adoption   a transcript that is published already, and that a lost database knew
purging    what is to be deleted of a recording, deleted
gathering  from the blocks of a recording, and the turns of its speakers, to its transcript
remaking   the transcript of a job once more, of what is kept
"""
