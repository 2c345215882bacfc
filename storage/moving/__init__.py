"""Moving what a deployment keeps in tables from SQLite's files to PostgreSQL, or back; backups use the same copier.

- shapes.py: the tables to copy, in words that both engines share
- fingerprint.py: the number and the digest of a table's rows
- file_tables.py, server_tables.py: reading and writing rows on each engine
- copying.py: table after table, compared at the end
- parts.py: the stores that are copied together
- file_mark.py: the mark beside files that were left
- to_server.py, to_files.py: the two directions
"""
