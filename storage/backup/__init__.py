"""A copy of a deployment that one command makes and one command restores.

- contents.py: what belongs into it, and what must not
- snapshot.py: a consistent copy while the bot runs
- bundle.py: the file: written, read again, unpacked
"""
