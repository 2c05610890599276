"""What all parts share: failing, waiting, talking HTTP, and where things lie."""
import os
import pathlib
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Failure(Exception):
    """Something a user would have noticed."""


def note(text):
    print(time.strftime("%H:%M:%S"), text, flush=True)


def wait_until(seconds, what, condition):
    """Asks again and again until `condition` gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise Failure(f"waited {seconds:.0f} s in vain: {what() if callable(what) else what}")
        time.sleep(0.05)


def get(port, path, timeout=2.0):
    """The body, or None if there is no good answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, OSError, ValueError):
        return None


def worker_binary():
    return os.environ.get("COHO_WORKER", str(ROOT / "build/release/worker/coho-worker"))
