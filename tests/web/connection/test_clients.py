"""Clients that people use: Java's own, which asks for h2c, and curl that asks for HTTP/2."""

import asyncio
import shutil
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.web.connection.conftest import Served

JAVA = """
import java.net.URI;
import java.net.http.*;
public class Ask {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int number = 0; number < 3; number++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Authorization", "Bearer " + arguments[1]).header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(arguments[2])).build();
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java here; cases.py has its bytes")
async def test_javas_own_client_is_served(served: Served, tmp_path: Path) -> None:
    (tmp_path / "Ask.java").write_text(JAVA)
    for path, body in (("/check", served.check().body.decode()), ("/graphql", '{"query": "{ __typename }"}')):
        token = served.token if path == "/check" else served.personal
        url = f"http://127.0.0.1:{served.port}{path}"
        out = await run("java", str(tmp_path / "Ask.java"), url, token, body)
        assert [line[:3] for line in out.splitlines()] == ["200"] * 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here; cases.py has its bytes")
async def test_curl_that_asks_for_http_2_is_served(served: Served) -> None:
    for path, body in (("/check", served.check().body.decode()), ("/graphql", '{"query": "{ __typename }"}')):
        token = served.token if path == "/check" else served.personal
        out = await run(
            *("curl", "--silent", "--http2", "--max-time", "20", "--data", body),
            *("-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {token}"),
            *("-w", " %{http_code}", f"http://127.0.0.1:{served.port}{path}"),
        )
        assert out.endswith(" 200")
