"""CPU time of processes: what a busy machine cannot distort much, where throughput is noisy."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds as (user, system)."""

    user: float
    system: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        fields = _stat(Path(f"/proc/{pid}"))
        return cls(int(fields[11]) / TICKS, int(fields[12]) / TICKS)

    @classmethod
    def of_children(cls) -> "Usage":
        """Those of ours that have ended: a load generator that was waited for."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(used.ru_utime, used.ru_stime)

    @property
    def seconds(self) -> float:
        return self.user + self.system


@dataclass(frozen=True, slots=True)
class Group:
    """A server with its workers: what was started in a session of its own."""

    pid: int

    def usage(self) -> Usage:
        used = [Usage.of(pid) for pid in self._members()]
        return Usage(sum(entry.user for entry in used), sum(entry.system for entry in used))

    def _members(self) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                group = int(_stat(process)[2])
            except OSError:
                continue
            if group == self.pid:
                found.append(int(process.name))
        return found


@dataclass(frozen=True, slots=True)
class CpuSpent:
    """CPU seconds so far of the server, Valkey (where it is known) and the load generators."""

    server: float
    valkey: float
    load: float

    @classmethod
    def now(cls, server: Group, valkey: int | None) -> "CpuSpent":
        redis = Usage.of(valkey).seconds if valkey is not None else 0.0
        return cls(server.usage().seconds, redis, Usage.of_children().seconds)

    def since(self, before: "CpuSpent", checks: int) -> dict[str, float]:
        """Microseconds a check."""
        share = 1e6 / max(checks, 1)
        return {
            "cpu_server_us": (self.server - before.server) * share,
            "cpu_valkey_us": (self.valkey - before.valkey) * share,
            "cpu_load_us": (self.load - before.load) * share,
        }


def _stat(process: Path) -> list[str]:
    """From the state on: a name may hold anything."""
    return (process / "stat").read_text().rpartition(")")[2].split()
