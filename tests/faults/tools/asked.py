"""What was asked about one key, and how it was answered."""

from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from tests.faults.tools.check_client import CheckAnswer, CheckClient
from tests.faults.tools.oracle import decided_us


@dataclass
class Asked:
    """Answers of one key, in the order in which they came, and how long each took."""

    answers: list[CheckAnswer] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)

    async def ask(self, client: CheckClient, secret: str, **more: object) -> CheckAnswer:
        begin = perf_counter()
        answer = await client.check({"key": secret, **more})
        self.took_ms.append((perf_counter() - begin) * 1000)
        self.answers.append(answer)
        return answer

    def instants(self, code: str) -> list[int]:
        """Of decisions that Redis made."""
        return [
            decided_us(answer.document["requestId"])
            for answer in self.answers
            if answer.status == 200 and answer.document["code"] == code and not answer.document["degraded"]
        ]

    def ids(self) -> list[str]:
        return [answer.document["requestId"] for answer in self.answers if answer.status == 200]

    def told(self) -> str:
        return f"{len(self.took_ms)} answers, p50 {median(self.took_ms):.1f} ms, most {max(self.took_ms):.1f} ms"
