"""A copy of a deployment that one command makes and one command brings back.

contents.py   what belongs into it, and what must not
snapshot.py   a consistent copy beside the running bot
bundle.py     the file: written, read again, unpacked
"""
