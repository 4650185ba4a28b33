"""The background processes, one file each, named by what they do. Each is `async def run(..., stop)`.

A worker ends soon after `stop` is set. When a dependency fails it logs `worker_retrying`, waits 0.1 s doubling to 5 s,
and tries again (`every` in portal.core.concurrency); it neither dies nor spins. Several of each kind may run at once:
rows, locks and ids keep them apart.
"""
