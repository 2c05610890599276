"""Feeds the job until it is told to stop; what it fed is read back from the topic, so that doubt about a broken connection is
nobody's but the broker's."""
import random
import subprocess
import threading
import time

from .common import Failure


class Feeder:
    def __init__(self, broker, topic, seed, keys=300, rate=1000):
        self._random = random.Random(seed)
        self._keys = [f"key-{i:04}" for i in range(keys)]
        self._rate = rate
        self.sent = 0
        self._stop = threading.Event()
        # Idempotent, and patient: it outlives every outage.
        self._kcat = subprocess.Popen(
            ["kcat", "-P", "-E", "-q", "-b", broker.address, "-t", topic, "-K", "\t",
             "-X", "topic.partitioner=murmur2_random", "-X", "enable.idempotence=true",
             "-X", "message.timeout.ms=600000", "-X", "linger.ms=10",
             "-X", "queue.buffering.max.messages=1000000", "-X", "reconnect.backoff.max.ms=2000",
             "-X", "topic.metadata.refresh.interval.ms=5000", "-X", "metadata.max.age.ms=5000"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._errors = []
        threading.Thread(target=self._read_errors, daemon=True).start()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _read_errors(self):
        for line in self._kcat.stderr:
            self._errors = self._errors[-9:] + [line.decode(errors="replace").rstrip()]

    def _feed(self):
        begin = time.monotonic()
        try:
            while not self._stop.is_set():
                due = int((time.monotonic() - begin) * self._rate) - self.sent
                # After a stall the rate goes on as before, without a flood.
                if due > self._rate:
                    begin += (due - self._rate) / self._rate
                    due = self._rate
                lines = []
                for _ in range(due):
                    # A third of all records have one of ten keys: conflicts need company.
                    among = self._keys[:10] if self._random.random() < 0.33 else self._keys
                    lines.append(f"{self._random.choice(among)}\t{self.sent}\n")
                    self.sent += 1
                self._kcat.stdin.write("".join(lines).encode())
                self._kcat.stdin.flush()
                time.sleep(0.02)
        except (BrokenPipeError, ValueError):
            pass  # seen by check_alive

    def check_alive(self):
        if self._kcat.poll() is not None or not self._thread.is_alive():
            raise Failure("the feeder died: " + " / ".join(self._errors))

    def stop(self):
        """Waits until all it sent is acknowledged."""
        self.check_alive()
        self._stop.set()
        self._thread.join(120)
        self._kcat.stdin.close()
        if self._kcat.wait(120) != 0:
            raise Failure("the feeder could not send all: " + " / ".join(self._errors))

    def end(self):
        self._stop.set()
        if self._kcat.poll() is None:
            self._kcat.kill()
            self._kcat.wait()


def send_once(broker, topic, keys):
    """One record for each key."""
    done = subprocess.run(
        ["kcat", "-P", "-b", broker.address, "-t", topic, "-K", "\t",
         "-X", "topic.partitioner=murmur2_random"],
        input="".join(f"{key}\tlast\n" for key in keys).encode(), capture_output=True, timeout=60,
    )  # fmt: skip
    if done.returncode != 0:
        raise Failure("kcat cannot send: " + done.stderr.decode(errors="replace"))
