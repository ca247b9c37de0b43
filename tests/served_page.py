"""The page as a user starts it, on a free port, and requests to it that need not come from its controls."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

from conftest import REPOSITORY
from ports import free_port

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def served(workdir, log):
    """The address of the page of a workdir; what the program says of errors is in the file ``log`` afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "experiments.demo", f"--workdir={workdir}", f"--port={port}"]
    environment = {**os.environ, "XLA_FLAGS": ""}
    with (
        open(log, "w", encoding="utf-8") as errors,
        subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as program,
    ):
        try:
            line = program.stdout.readline()
            address = f"http://127.0.0.1:{port}/"
            assert address in line, (line, log.read_text(encoding="utf-8"))
            yield address
        finally:
            program.terminate()
            assert program.wait(timeout=60) == 143


def answer(address, path, data=None, **headers):
    """The status and the body of an answer; with data it is a POST."""
    request = urllib.request.Request(f"{address}{path}", data, headers)
    try:
        with NO_PROXY.open(request, timeout=120) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def call(address, name, *arguments):
    """What one of the page's functions answers to a client: its results, or None when it refuses."""
    body = json.dumps({"data": arguments}).encode()
    status, begun = answer(address, f"gradio_api/call/{name}", body, **{"Content-Type": "application/json"})
    if status != 200:
        return None
    _, events = answer(address, f"gradio_api/call/{name}/{json.loads(begun)['event_id']}")
    last = events.decode().strip().split("\n\n")[-1]
    kind, _, data = last.partition("\n")
    return json.loads(data.removeprefix("data: ")) if kind == "event: complete" else None
