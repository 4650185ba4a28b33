"""What must hold of keys although PostgreSQL was restored to a time before. For portal.keys only.

tombstones.py  what Redis remembers of each change
reapply.py     takes away again what a restored database has lost
"""
