"""The journal: append-only files of a node, from the answered check to the bus. No crash loses what was written.

    check -> writer.Journal.append        one write(2) to this process's segment, before the answer
               thread: fsync in groups; a segment is sealed when it is large or old
    shipper.JournalShipper, one a node    reads every process's segments from their cursors
      -> bus USAGE_RECORDED               batches of stored records, several under way, nothing decoded
      -> confirmed                        the cursor moves, in order
      -> sealed and shipped to its end    the segment is deleted

    format.py    the bytes of a segment: header, frames, what can be trusted
    place.py     the folder as a place to write: there, on its own disk, with room
    segments.py  the folder as its reader sees it: segments, cursors, who still writes
    backlog.py   what is not shipped yet: how much, and since when
    shipped_segments.py  what was shipped, kept for a database that is restored
    ship_again.py  ship all that is still there, for such a database
    recover.py   ship what a dead node left

A crash between confirmation and cursor ships a batch again: ingest recognises it. Damage in the middle of a segment is
never stepped over: the file is set aside, and somebody has to look at it.
"""

from portal.usage.journal.backlog import journal_backlog, journal_disk_use
from portal.usage.journal.recover import JournalInUse, JournalRecovered, journal_bytes, recover_journal
from portal.usage.journal.ship_again import kept_bytes, ship_again
from portal.usage.journal.shipper import JournalDamaged, JournalShipper
from portal.usage.journal.writer import Journal, JournalUnavailable

__all__ = [
    "Journal",
    "JournalDamaged",
    "JournalInUse",
    "JournalRecovered",
    "JournalShipper",
    "JournalUnavailable",
    "journal_backlog",
    "journal_bytes",
    "journal_disk_use",
    "kept_bytes",
    "recover_journal",
    "ship_again",
]
