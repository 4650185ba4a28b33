"""`make walks`: which files of ours one request enters, on a running portal. `python -m tests.walks [--json FILE]`.

A walk is what a reader follows from a request to its end; the fewer files, the sooner he has seen it. Beside each
figure stands a guide, which is no aim: of a walk above it the boundaries that it crosses are listed with their reasons
(rooms.py). This lies under tests/ and not under bench/ because it measures the shape of the code, which is the same on
every machine, and because `make check` types this folder.

How it works
    The portal runs in this process and as `portal run --demo` does: the `portal` command itself, found by its entry
    point, with all workers, PostgreSQL and Valkey, on a folder of its own. `sys.setprofile` reports every call of a
    Python function; those of files under portal/, web/ and workers/ are recorded while a walk is under way. The request
    comes over a socket, from a thread that runs no code of ours. Nothing else of the portal is known here than its
    command, its ready file, its addresses and its schema, so that a walk survives every renaming inside.

What belongs to the request (attribution.py)
    1. Each call is put down to the *activity* that made it: the task, else the thread or the event loop's callback by
       its outermost function of ours.
    2. An idle stretch before the walks, longer than the round of any worker that does not sleep for minutes, shows
       which functions each activity calls when nobody asks for anything.
    3. An activity belongs to the walk when it calls something that it does not call when idle: a new task, the reply on
       the connection to Redis that decides the check, the flush that writes the journal. Then all its files do. A task
       that is older than the request is one of the background, and belongs only to the walk that goes on behind the
       answer, where the shipper has a record to ship.
    4. Each walk is repeated, at random distances, and a file counts when every repetition entered it: a worker whose
       turn came by chance comes in some, and so does what is loaded anew every few seconds. What a first use does is
       over by then: each walk is warmed up. Import-time code never counts.
    The walk to the buckets lasts a second, and then GraphQL must have counted its checks.

Limits
    Python files and Jinja templates (compiled under their own name) count; GraphQL documents and Lua scripts do not.
    What another process does for a request is not seen: a line names the Python processes that the portal started.
    What differs between repetitions is in the JSON, as `varying`. Reading an attribute, and a constructor that C runs,
    enter no file.
"""
