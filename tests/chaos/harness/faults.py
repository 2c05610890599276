"""The faults. Each leaves the fleet complete and running, if not yet well; what it promises beyond that it checks itself."""
import shutil
import signal
import subprocess
import time
from random import Random

from .common import Failure, note, wait_until
from .fleet import HOMECOMING, SESSION, Worker

# Where a worker ends itself, see common/base/crash_point.h, and how many passes it may take.
CRASH_POINTS = {
    "commit/begun": 40,
    "commit/changes-sent": 40,
    "commit/positions-sent": 40,
    "commit/acknowledged": 40,
    "write-back/before": 3,
    "write-back/written": 3,
    "flush/before": 2,
    "flush/after": 2,
    "restore/planned": 2,
    "restore/written": 2,
    "restore/finished": 2,
    "restore/wiped": 2,
}


class World:
    """What a fault works on."""

    def __init__(self, random, broker, job, fleet, long):
        self.random = random
        self.broker = broker
        self.job = job
        self.fleet = fleet
        self.long = long

    def any_worker(self):
        return self.random.choice(sorted(self.fleet.workers))

    def pause(self, least, most):
        time.sleep(self.random.uniform(least, most))


def kill(world):
    """kill -9 of a worker, which comes home."""
    number = world.any_worker()
    note(f"  worker {number}")
    world.pause(0, 0.5)
    _kill_and_come_home(world, number, world.random.uniform(0, 1))


def kill_coordinator(world):
    """kill -9 of the worker that coordinates."""
    _kill_and_come_home(world, 0, world.random.uniform(0, 1))


def _kill_and_come_home(world, number, away):
    before = dict(world.fleet.owners)
    killed = time.monotonic()
    world.fleet.kill(number)
    time.sleep(away)
    world.fleet.start(number)
    _await_back(world, number)
    in_time = time.monotonic() - killed < SESSION + HOMECOMING - 2
    world.fleet.await_settled()
    if in_time:
        world.fleet.check_same_owners(before, f"worker {number} came home in time")


def _await_back(world, number):
    wait_until(90, f"worker {number} is back", world.fleet.workers[number].is_ready)


def kill_two(world):
    """kill -9 of two workers, or of one twice, the second time while it restores."""
    numbers = [world.any_worker(), world.any_worker()]
    note(f"  workers {numbers}")
    for number in numbers:
        world.fleet.kill(number)
        world.fleet.start(number)
        world.pause(0.05, 1)


def crash(world):
    """kill -9 at a named point inside of commit, write-back, flush or restore."""
    points = set(CRASH_POINTS)
    if not world.job.exactly_once:
        points.remove("commit/acknowledged")  # of a transaction
    number, point = world.any_worker(), world.random.choice(sorted(points))
    passes = world.random.randint(1, CRASH_POINTS[point])
    fleet = world.fleet
    fleet.kill(number)  # so that there is something to restore
    if point == "restore/wiped":
        shutil.rmtree(fleet.state_of(number))
        fleet.forget_deaths()
    fleet.start(number, COHO_CRASH_AT=f"{point}:{passes}")
    worker = fleet.workers[number]
    note(f"  worker {number} at {point}:{passes}")
    try:
        worker.process.wait(60)
    except subprocess.TimeoutExpired:
        raise Failure(f"worker {number} did not come by {point} {passes} times")
    if worker.process.returncode != -signal.SIGKILL:
        raise Failure(f"worker {number} ended with {worker.process.returncode} before {point}: {worker.last_lines()}")
    if point != "restore/wiped":
        fleet.note_death(number)
    world.pause(0, 0.5)
    fleet.start(number)


def freeze(world):
    """A worker stands still until its tasks are somebody else's, then goes on."""
    number = world.any_worker()
    seconds = SESSION + HOMECOMING + world.random.uniform(1, 3)
    note(f"  worker {number} for {seconds:.1f} s")
    fleet = world.fleet
    lost = {task for task, owner in fleet.owners.items() if owner == number}
    fleet.workers[number].signal(signal.SIGSTOP)
    time.sleep(seconds)
    # While the coordinator stands still nobody moves anything.
    if number != 0:
        wait_until(60, f"others run tasks {sorted(lost)}", lambda: lost <= _running(fleet, number))
    fleet.workers[number].signal(signal.SIGCONT)
    fleet.forget_deaths()


def _running(fleet, but):
    """Tasks that run on any worker but one."""
    pages = [worker.page() for number, worker in fleet.workers.items() if number != but]
    return {t["task"] for page in pages if page for t in page["tasks"] if t["state"] == "Running"}


def freeze_briefly(world):
    """A worker stands still for less than the session."""
    number = world.any_worker()
    note(f"  worker {number}")
    before = dict(world.fleet.owners)
    world.fleet.workers[number].signal(signal.SIGSTOP)
    world.pause(0.2, SESSION / 2)
    world.fleet.workers[number].signal(signal.SIGCONT)
    world.fleet.await_settled()
    world.fleet.check_same_owners(before, f"worker {number} stood still for a moment")


def freeze_in_rebalance(world):
    """A worker's tasks are being moved when another one stands still, beyond all patience."""
    fleet = world.fleet
    gone, still = world.random.sample(sorted(fleet.workers), 2)
    note(f"  worker {gone} is away, worker {still} stands still in the rebalance")
    fleet.kill(gone)
    frozen = fleet.workers[still]

    def moves():
        page = frozen.page()
        return page and page["generation"] > fleet.generation

    try:
        # Without its coordinator nothing moves; then the rebalance is that of the return.
        wait_until(SESSION + HOMECOMING + (0 if gone == 0 else 20), "a rebalance", moves)
    except Failure:
        if gone != 0:
            raise
    frozen.signal(signal.SIGSTOP)
    world.pause(0.1, 1)
    fleet.start(gone)
    time.sleep(SESSION + HOMECOMING + 1)
    frozen.signal(signal.SIGCONT)
    fleet.forget_deaths()


def twins(world):
    """Two processes with one id, each with a disk of its own; one of them stays."""
    fleet, number = world.fleet, world.any_worker()
    state = fleet.directory / f"twin-{number}"
    shutil.rmtree(state, ignore_errors=True)
    twin = Worker(fleet, number, state, {})
    stays = world.random.choice(["first", "second"])
    note(f"  worker {number}; the {stays} stays")
    try:
        world.pause(2, 5)
        if stays == "second":
            fleet.adopt(twin)
    finally:
        twin.kill()
    if fleet.workers[number].ended():
        fleet.start(number)  # being fenced for good is an honest end
    shutil.rmtree(state, ignore_errors=True)
    fleet.forget_deaths()


def wipe(world):
    """A worker comes back with an empty disk."""
    number = world.any_worker()
    note(f"  worker {number}")
    world.fleet.kill(number)
    shutil.rmtree(world.fleet.state_of(number))
    world.fleet.start(number)
    world.fleet.forget_deaths()


def broker_killed(world):
    """kill -9 of the broker in the middle of transactions."""
    _broker_away(world, signal.SIGKILL, world.random.uniform(0, 2))


def broker_restarted(world):
    """An orderly restart of the broker, which is every group's coordinator and every transaction's, too."""
    _broker_away(world, signal.SIGTERM, world.random.uniform(2, 4))


def broker_away(world):
    """Kafka is away for longer than tasks wait for their worker; when it is back, nothing moves."""
    _broker_away(world, signal.SIGKILL, SESSION + HOMECOMING + 2)


def _broker_away(world, number, seconds):
    before = dict(world.fleet.owners)
    starts = world.fleet.starts
    note(f"  for {seconds:.1f} s and a start")
    world.broker.kill_and_restart(number, seconds)
    _check_nothing_moved(world, before, starts)


def broker_frozen(world):
    """The broker stands still."""
    seconds = 30 if world.long else world.random.uniform(4, 8)
    before = dict(world.fleet.owners)
    starts = world.fleet.starts
    note(f"  for {seconds:.1f} s")
    world.broker.freeze(seconds)
    _check_nothing_moved(world, before, starts)


def coordinators_moved(world):
    """Another broker becomes every group's coordinator and every transaction's, while they commit; then it ends or is killed,
    and the first one takes over what it left."""
    number = world.random.choice([signal.SIGTERM, signal.SIGKILL])
    before = dict(world.fleet.owners)
    starts = world.fleet.starts
    second = world.broker.second
    second.up()
    try:
        second.take_over()
        written = second.transactions()
        world.fleet.await_settled()
        if world.job.exactly_once:
            wait_until(30, "transactions go on with the second broker", lambda: second.transactions() > written)
        second.await_leader(2)
        note(f"  coordinated by another broker, which gets {number.name}")
    finally:
        second.end(number)
    second.await_leader(1)
    _check_nothing_moved(world, before, starts)


def _check_nothing_moved(world, before, starts):
    world.fleet.await_settled()
    if world.fleet.starts != starts:
        raise Failure("workers ended because Kafka was away")
    # A move on false grounds would come one session after the return, at the latest.
    time.sleep(SESSION)
    world.fleet.await_settled()
    world.fleet.check_same_owners(before, "Kafka was away, no worker was")


def scale(world):
    """To one worker, to three, to two; under load."""
    fleet, job = world.fleet, world.job
    for workers in (1, 3, 2):
        note(f"  to {workers}")
        job.write(workers)
        fleet.stop(0)
        fleet.start(0)
        for number in range(workers):
            if number not in fleet.workers:
                fleet.start(number)
        leaving = [n for n in fleet.workers if n >= workers]

        def emptied():
            fleet._restart_ended()
            pages = [fleet.workers[n].page() for n in leaving]
            return all(p is not None and not p["tasks"] for p in pages)

        wait_until(90, f"workers {leaving} are emptied", emptied)
        for number in leaving:
            fleet.stop(number)
        fleet.forget_deaths()
        fleet.await_settled()


def offsets_deleted(world):
    """The job stops, its committed offsets expire, the job starts again."""
    fleet = world.fleet
    fleet.stop_all()
    world.broker.delete_group(world.job.group)
    fleet.start_all()


# How often each is drawn, where it is not one of the slow ones.
FAULTS = {
    kill: 6,
    kill_coordinator: 2,
    kill_two: 3,
    crash: 8,
    freeze_briefly: 2,
}
SLOW = [freeze, freeze_in_rebalance, twins, wipe, broker_killed, broker_restarted, broker_away,
        broker_frozen, scale, offsets_deleted]  # fmt: skip
# Once in every episode that is long enough, since each guarantee has its own way to commit.
ALWAYS = [coordinators_moved]
KINDS = list(FAULTS) + SLOW + ALWAYS


def draw(seed, random, count, exactly_once):
    """The faults of an episode, a third of them slow: every kind of those once in two episodes with one seed, one of each
    guarantee, if these are long enough. In such a one the coordinators move, too."""
    slow = SLOW.copy()
    Random(seed).shuffle(slow)
    share = min(len(slow), max(1, count // 3))
    chosen = slow[:share] if exactly_once else slow[-share:]
    if count > len(SLOW):
        chosen += ALWAYS
    chosen += random.choices(list(FAULTS), list(FAULTS.values()), k=count - len(chosen))
    random.shuffle(chosen)
    return chosen
