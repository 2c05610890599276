"""What must hold, judged from the topics alone."""
import collections
import time

from .common import Failure, note
from .feeder import send_once


def _first(faults, most=5):
    return "; ".join(faults[:most]) + (f"; and {len(faults) - most} more" if len(faults) > most else "")


def fed(broker, topic):
    """How many records each key has."""
    return collections.Counter(record.key for record in broker.read(topic, committed=False))


def exactly_once_faults(want, outputs):
    """Every running count of every key exactly once, and in order."""
    got = collections.defaultdict(list)
    for record in outputs:
        got[record.key].append(int(record.value))
    faults = []
    for key in sorted(set(want) | set(got)):
        if got[key] == list(range(1, want[key] + 1)):
            continue
        counts = collections.Counter(got[key])
        twice = sorted(n for n, times in counts.items() if times > 1)
        missing = sorted(set(range(1, want[key] + 1)) - set(counts))
        beyond = sorted(n for n in counts if n > want[key])
        what = [f"{name} {values[:5]} ({len(values)})" for name, values in
                (("twice", twice), ("missing", missing), ("beyond", beyond)) if values]  # fmt: skip
        faults.append(f"{key}: fed {want[key]}, counts {', '.join(what) or 'out of order'}")
    return faults


def at_least_once_faults(want, outputs):
    """Nothing lost: the highest count of a key reaches what was fed."""
    highest = collections.defaultdict(int)
    for record in outputs:
        highest[record.key] = max(highest[record.key], int(record.value))
    faults = [f"{key}: fed {n}, counted {highest[key]}" for key, n in sorted(want.items())
              if highest[key] < n]  # fmt: skip
    return faults + [f"{key}: never fed" for key in sorted(set(highest) - set(want))]


def judge(broker, job, what, seconds=120):
    """Waits until the outputs can be right, since transactions of the dead have to time out first; then they have to be."""
    want = fed(broker, job.input)
    total = sum(want.values())
    find = exactly_once_faults if job.exactly_once else at_least_once_faults
    deadline = time.monotonic() + seconds
    while True:
        outputs = list(broker.read(job.output))
        faults = find(want, outputs)
        if not faults:
            note(f"{what}: {total} records of {len(want)} keys, {len(outputs)} counts: as they must be")
            return want
        # With too many there is nothing to wait for.
        if time.monotonic() >= deadline or (job.exactly_once and len(outputs) > total):
            raise Failure(f"{what}: {job.guarantee} is broken for {len(faults)} keys: {_first(faults)}")
        time.sleep(2)


def judge_state(broker, job, fleet):
    """No update is lost: with every disk wiped, the counts go on from where they were."""
    want = fed(broker, job.input)
    fleet.stop_all()
    fleet.wipe_all()
    fleet.start_all()
    fleet.await_settled()
    send_once(broker, job.input, sorted(want))
    judge(broker, job, "counts that go on from the changelog alone")
