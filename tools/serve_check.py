#!/usr/bin/env python3
"""Check `helix-build serve` with the clients that it is made for, and measure it under load.

    pip install "mcp>=2" "cymatix-context==0.11.3" numpy
    python3 tools/serve_check.py target/release/helix-build INDEX [--load]

Starts the program on an index with vectors and

- calls every tool with the client of the official MCP SDK, as an agent does, page by page
- encodes with the client of Helix/Cymatix servers and compares with `helix-build encode`
- with --load, prints requests a second, latency and the CPU time of the server for a request at 1, 8 and 64 clients, beside
  `helix-build encode`, which runs the same encoders without HTTP

Exits with 1 at the first difference. Writes nothing into the index.
"""

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import threading
import time

QUERIES = [
    "parse a JSON document",
    "decode the header of an email",
    "how is a multipart message written",
    "raise an error for a bad escape",
]


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


async def check_mcp(program, index):
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    server = StdioServerParameters(command=program, args=["serve", index, "--mcp"])
    began = time.monotonic()
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        about = await session.initialize()
        expect(about.server_info.name == "helix-build", "the name of the server")
        print(f"mcp: initialised after {1000 * (time.monotonic() - began):.0f} ms")
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        expect(set(tools) == {"search", "get", "status"}, f"tools: {sorted(tools)}")
        for tool in tools.values():
            expect(tool.annotations.read_only_hint, f"{tool.name} is read-only")
            expect(tool.input_schema["properties"] and tool.output_schema["properties"], f"schemas of {tool.name}")

        async def call(name, **arguments):
            result = await session.call_tool(name, arguments)
            return result.is_error, result.structured_content, result.content

        is_error, status, _ = await call("status")
        expect(not is_error and status["files"] > 0 and status["shards"], "status")
        began = time.monotonic()
        is_error, first, _ = await call("search", query=QUERIES[0], limit=3)
        print(f"mcp: first search after {1000 * (time.monotonic() - began):.0f} ms")
        expect(not is_error and len(first["hits"]) == 3 and first["next_offset"] == 3, "three hits")
        _, second, _ = await call("search", query=QUERIES[0], limit=3, offset=3)
        _, both, _ = await call("search", query=QUERIES[0], limit=6)
        ids = [hit["chunk_id"] for hit in first["hits"] + second["hits"]]
        expect(ids == [hit["chunk_id"] for hit in both["hits"]], "two pages are one")
        hit = first["hits"][0]
        _, got, _ = await call("get", path=hit["path"], first_line=hit["first_line"], last_line=hit["last_line"])
        text = "\n".join(line["text"] for line in got["lines"])
        expect(hit["text"] in text, "the lines of a hit hold its text")
        _, outline, _ = await call("get", path=hit["path"], view="chunks")
        expect(hit["chunk_id"] in [chunk["chunk_id"] for chunk in outline["chunks"]], "the outline")
        for mode in ["lexical", "sparse", "dense"]:
            is_error, found, _ = await call("search", query=QUERIES[0], mode=mode)
            expect(not is_error and found["hits"], mode)
        for arguments in [{"query": " "}, {"query": "x", "languages": ["klingon"]}, {"query": "x", "shards": ["no"]}]:
            is_error, _, content = await call("search", **arguments)
            expect(is_error and content[0].text, f"{arguments} is refused with a reason")
        is_error, _, content = await call("get", path="no/such/file.py")
        expect(is_error and "no/such/file.py" in content[0].text, "a file that is not there")
    print("mcp: ok")


class Server:
    """The program with --encoders on a free port."""

    def __init__(self, program, index):
        command = [program, "serve", index, "--encoders", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.about = json.loads(self.process.stdout.readline())
        self.url = self.about["url"]
        self.address = self.url.removeprefix("http://")

    def stop(self):
        self.process.terminate()
        expect(self.process.wait(timeout=20) == 0, "the server ends with 0")


def check_encoders(program, server):
    from cymatix_context.backends.encoder_client import EncoderClient

    client = EncoderClient(server.url)
    expect(client.wait_ready(5), "ready")
    lines = subprocess.run([program, "encode", "--json", *QUERIES], check=True, capture_output=True, text=True).stdout
    encoded = [json.loads(line) for line in lines.splitlines()]
    dense = client.encode_dense(QUERIES, task="query")
    sparse = client.encode_splade(QUERIES, top_k=32)
    for text, vector, terms, own in zip(QUERIES, dense, sparse, encoded):
        expect(vector == own["dense"], f"dense vector of {text!r}")
        expect(terms == {term["term"]: term["weight"] for term in own["sparse"]}, f"sparse vector of {text!r}")
    expect(client.encode_dense([]) == [] and client.encode_splade([]) == [], "no texts")
    print("encoders: ok")


def cpu_of(pid):
    """CPU seconds that a process has taken; 0 where the system does not say it this way."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(program, server):
    body = json.dumps({"texts": [QUERIES[0]], "task": "query", "top_k": 32})
    headers = {"Content-Type": "application/json"}
    print(f"{'clients':>8} {'path':>8} {'requests/s':>11} {'median ms':>10} {'99 % ms':>8} {'CPU us':>7}")
    for path in ["dense", "splade"]:
        for n_clients in [1, 8, 64]:
            per_client = max(2000 // n_clients, 25)
            times, failed = [], []

            def ask():
                connection = http.client.HTTPConnection(server.address, timeout=60)
                for _ in range(per_client):
                    began = time.perf_counter()
                    connection.request("POST", f"/encode/{path}", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    times.append(time.perf_counter() - began)
                    if answer.status != 200:
                        failed.append(answer.status)

            cpu = cpu_of(server.process.pid)
            began = time.perf_counter()
            clients = [threading.Thread(target=ask) for _ in range(n_clients)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            took = time.perf_counter() - began
            expect(not failed, f"{len(failed)} requests failed: {failed[:3]}")
            times.sort()
            middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
            cpu = 1e6 * (cpu_of(server.process.pid) - cpu) / len(times)
            print(
                f"{n_clients:8} {path:>8} {len(times) / took:11.0f} {1000 * middle:10.2f} {1000 * late:8.2f} {cpu:7.0f}"
            )
    n = 20_000
    texts = "\n".join([QUERIES[0]] * n)
    for path, without in [("dense", "--sparse-model"), ("splade", "--dense-model")]:
        command = [program, "encode", "--json", without, "none", "--texts", "-"]
        began, before = time.perf_counter(), os.times()
        subprocess.run(command, input=texts, text=True, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"{'encode':>8} {path:>8} {n / (time.perf_counter() - began):11.0f} {'':19} {1e6 * cpu / n:7.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("index")
    parser.add_argument("--load", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(check_mcp(arguments.program, arguments.index))
    server = Server(arguments.program, arguments.index)
    try:
        check_encoders(arguments.program, server)
        if arguments.load:
            load(arguments.program, server)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
