"""scriberrd: a daemon that turns recordings dropped into a folder into transcripts."""

__version__ = "0.1.0"
