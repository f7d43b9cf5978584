"""Nothing leaves the machine, and nothing is left on it."""

import os
import subprocess
import sys

import pytest

BLOCKED = """
import socket, sys
def refuse(*arguments, **others):
    raise SystemExit("a network connection was tried")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from eventx.cli import app
app(sys.argv[1:])
"""


@pytest.mark.parametrize("format", ["view", "jsonl"])
def test_tagging_opens_no_connection_and_writes_nothing_home(seeds, tmp_path, format):
    # onnxruntime keeps quiet where it believes itself under test: take such hints away.
    hints = ("CI", "PYTEST", "GITHUB", "TF_BUILD", "ORT_", "XDG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hints)}
    environment["HOME"] = environment["USERPROFILE"] = str(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", BLOCKED, "tag", str(seeds[0]), "--format", format],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not list(tmp_path.rglob("*"))


def test_the_runtime_is_told_before_it_is_loaded():
    code = "import sys, os, eventx; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["1", "False"]
