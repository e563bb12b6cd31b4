#!/usr/bin/env python3
"""
Chaos: one cluster under a write load, one fault after the other at random, and after each of them the promises.

    python3 tests/chaos/runner.py --seed 7 --seconds 60          in the build folder
    python3 tests/chaos/runner.py --kills 1000 --only kill-master
    make chaos CHAOS_ARGS="--seed 7 --seconds 600"

  --seed N       the same seed makes the same steps in the same order; without it one is chosen and printed
  --seconds T    begins no step after T seconds; --steps K, --kills K: ends after so many steps, deaths of a master
  --only A,B     these faults only, also those of weight 0; --list prints the table; --down-after MS: Sentinel's own
  --keep DIR     where the logs of a failed run go (default: the folder it was started in)

  --durability   the proxy waits for a replica (proxy.durability = 1), the writers do not ask for it themselves

Writers send SET and then WAIT 1 over the proxy: what WAIT has confirmed must never be lost, with --durability what was
answered with OK. (But when a master and a replica are killed at once, what no other replica had confirmed a moment before
may be: it is counted.) After each step:
  agreed   status, ROLE of every server and every sentinel name one master, and all is ready
  writes   every writer has had a write acknowledged since
  kept     what was acknowledged since the step before is there; every --full-check N steps (25), and at the end, all that was
           since the last such look (then it is deleted, so that the data does not grow)
  answered nobody has waited longer for a reply than proxy.hold_ms allows; no connection was refused, unless the
           fault took the listening sockets away
  words    no client has seen READONLY, LOADING or MASTERDOWN
At the end the cluster must stop cleanly (harness.Cluster.finish: no process, descriptor or file left, no unexpected death).

Each step prints one line; at the first broken promise the seed, the step and the cluster's logs are given, and the
exit code is 1. What a step does is a row of OPERATIONS: its weight, what it needs, and a function that causes the
fault, undoes it where it does not undo itself, and gives a text for the line. No fault needs root (faults.py).
"""
import argparse
import os
import random
import signal
import sys
import time
from collections import namedtuple
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

import redis  # noqa: E402

import faults  # noqa: E402
from harness import Cases, NotYet, wait_until  # noqa: E402
from waiting import PATIENCE  # noqa: E402

HOLD_MS = 20000
WAIT_MS = 1000
SLACK_S = 5
AGREED_S = 60
NEVER_SEEN = ("READONLY", "LOADING", "MASTERDOWN")
# What a client may be told: it may have happened; nobody writes to a full disk; a worker was killed or its link cut.
MAY_BE_SEEN = ("UNCERTAIN", "NOREPLICAS", "MISCONF", "closed", "ConnectionResetError", "BrokenPipeError")


class Broken(AssertionError):
    """A promise was not kept."""


class Chaos:
    def __init__(self, cases, seed, down_after_ms, writers, full_check, durability):
        self.seed, self.step, self.kills, self.full_check = seed, 0, 0, full_check
        options = faults.server_options(cases.folder("bin"))
        options.update({"proxy.hold_ms": HOLD_MS, "sentinel.down_after_ms": down_after_ms,
                        # what is killed every other second is not given up
                        "holdfast.restart_max": 1000, "holdfast.restart_window_s": 1})
        if durability:
            options.update({"proxy.durability": 1, "proxy.durability_ms": WAIT_MS})
        self.c = cases(options=options).start()
        self.load = self.c.load(writers=writers, replicas=0 if durability else 1, wait_ms=WAIT_MS, prefix="chaos",
                                few_copies=durability)
        self.seen_errors = [0] * writers
        self.refused = 0       # connections, so far
        self.may_refuse = False  # the present fault takes the listening sockets with it
        self.known = {}
        self.two_died_at = None  # a master and a replica, by the present fault
        self.lost_with_both = 0
        self.rng = random.Random(seed)
        self.learn()

    # --- what operations ask for ---

    def learn(self):
        """Who is who and which pid; operations work from this, also while no supervisor answers."""
        status = self.c.status()
        self.known = {i["name"]: i for i in status["instances"]}
        self.master = status["master"]["name"]
        self.replicas = sorted(i["name"] for i in status["instances"] if i["kind"] == "redis" and i["name"] != self.master)

    def pid(self, name):
        return self.known[name]["pid"]

    def any_replica(self):
        return self.rng.choice(self.replicas)

    def any_of(self, kind):
        return self.rng.choice(sorted(n for n, i in self.known.items() if i["kind"] == kind))

    def kill(self, *names):
        for name in names:
            self.c.deaths[name] = self.c.deaths.get(name, 0) + 1
            os.kill(self.pid(name), signal.SIGKILL)
            self.kills += name == self.master

    def may_die(self, name):
        """It is for the supervisor to decide whether it ends one that hangs: killed, and so exited."""
        self.c.deaths[name] = self.c.deaths.get(name, 0) + 2

    def writes(self, most):
        """Until the load has got on by a random number of writes; ends early when none get through."""
        goal = self.load.acked + self.rng.randint(1, most)
        try:
            wait_until(lambda: self.load.acked >= goal, "writes", 1)
        except NotYet:
            pass

    def another_master(self, old, seconds):
        """Waits until somebody else is master; False when nobody was made it in that time."""
        try:
            self.c.wait_master_is_not(old, seconds)
            return True
        except NotYet:
            return False

    # --- promises ---

    def check(self):
        began = time.monotonic()
        self.c.wait_agreed(AGREED_S)
        agreed = time.monotonic()
        wait_until(lambda: self.load.acked_since(began), "a write of every writer acknowledged", 30)
        longest = self.load.longest_reply_s()
        if longest > (HOLD_MS + WAIT_MS) / 1000 + SLACK_S * PATIENCE:
            raise Broken(f"a request took {longest:.1f} s, proxy.hold_ms is {HOLD_MS}")
        self.load.forget_longest()
        errors = self.new_errors()
        for text in errors:
            if text.startswith(NEVER_SEEN) or not text.startswith((*MAY_BE_SEEN, "ConnectionRefusedError")):
                raise Broken(f"a client was told: {text}")
        refused, self.refused = len(self.load.refused) - self.refused, len(self.load.refused)
        if refused and not self.may_refuse:
            raise Broken(f"{refused} connections were refused")
        self.look_for_writes(full=self.step % self.full_check == 0)
        return agreed - began, longest, errors

    def new_errors(self):
        found = []
        for i, w in enumerate(self.load.writers):
            found += [text for _, text in w.errors[self.seen_errors[i]:]]
            self.seen_errors[i] = len(w.errors)
        return found

    def look_for_writes(self, full):
        client = self.c.redis(self.c.master())
        lost = self.load.lost(client) if full else self.load.lost_since_then(client)
        if lost and self.two_died_at is not None and all(t > self.two_died_at - 1 for _, t in lost):
            if self.load.forget(lost) == 0:
                self.lost_with_both += len(lost)
                return
        if full and not lost:
            self.load.drop_checked(client)
        if lost:
            raise Broken(f"{len(lost)} acknowledged writes are lost, the first {lost[:5]}")

    # --- steps ---

    def begin_step(self, operations):
        self.step += 1
        self.may_refuse, self.two_died_at = False, None
        # Of its own, so that what one step draws does not shift the next.
        self.rng = random.Random(f"{self.seed}/{self.step}")
        self.learn()
        fit = [o for o in operations if o.needs is None or o.needs(self)]
        if not fit:
            return None
        return self.rng.choices(fit, [max(o.weight, 1) for o in fit])[0]


# --- operations ---


def kill_master(x):
    x.writes(200)
    x.kill(x.master)
    return x.master


def kill_replica(x):
    name = x.any_replica()
    x.kill(name)
    return name


def kill_master_and_replica(x):
    """One replica is left. What only the other had confirmed is in its files, but nobody waits for those."""
    x.two_died_at = time.monotonic()
    names = [x.master, x.any_replica()]
    x.rng.shuffle(names)
    x.kill(*names)
    return " ".join(names)


def kill_all_servers(x):
    names = [x.master, *x.replicas]
    x.rng.shuffle(names)
    x.kill(*names)
    return " ".join(names)


def kill_lagging(x):
    """A replica that was stopped for a while and goes on at the moment of the master's death is not the one."""
    name = x.any_replica()
    faults.freeze(x.pid(name))
    x.writes(400)
    x.kill(x.master)
    faults.thaw(x.pid(name))
    return f"{x.master}, {name} behind"


def kill_sentinel(x):
    name = x.any_of("sentinel")
    x.kill(name)
    return name


def kill_worker(x):
    name = x.any_of(x.rng.choice(["proxy", "http"]))
    x.kill(name)
    return name


def kill_supervisor(x):
    x.c.kill_supervisor()
    x.writes(200)
    x.c.start(wait=False)
    return ""


def kill_supervisor_and_master(x):
    """Nobody sees it; the next supervisor finds the sentinels at it, or done."""
    x.c.kill_supervisor()
    x.kill(x.master)
    x.writes(50)
    x.c.start(wait=False)
    return x.master


def power_cut(x):
    x.may_refuse = True
    x.c.kill_everything()
    x.c.start(wait=False)
    return ""


def stop_replica(x):
    name = x.any_replica()
    x.may_die(name)
    faults.freeze(x.pid(name))
    x.writes(400)
    faults.thaw(x.pid(name))
    return name


def stop_master(x):
    """It stands still until another is master, then it goes on where it was."""
    x.may_die(x.master)
    faults.freeze(x.pid(x.master))
    moved = x.another_master(x.master, 30)
    faults.thaw(x.pid(x.master))
    return f"{x.master}, {'another took over' if moved else 'nobody took over'}"


def stop_sentinel(x):
    name = x.any_of("sentinel")
    x.may_die(name)
    faults.freeze(x.pid(name))
    x.writes(400)
    faults.thaw(x.pid(name))
    return name


def fill_master(x):
    """Its disk is full until another is master, at most 20 s; then there is room again."""
    x.may_die(x.master)
    faults.fill(x.pid(x.master))
    moved = x.another_master(x.master, 20)
    faults.make_room(x.pid(x.master))
    return f"{x.master}, {'another took over' if moved else 'nobody took over'}"


def fill_replica(x):
    name = x.any_replica()
    x.may_die(name)
    faults.fill(x.pid(name))
    x.writes(400)
    faults.make_room(x.pid(name))
    return name


def fill_state(x):
    """state.db cannot be written while a replica dies and comes back."""
    name = x.any_replica()
    faults.fill(x.c.run.pid)
    x.kill(name)
    x.writes(400)
    for pid in x.c.keeper.left():
        faults.make_room(pid)  # what was started meanwhile has inherited the limit
    return f"{name} died meanwhile"


def cut_replica(x):
    name = x.any_replica()
    faults.cut(x.c, name)
    x.writes(400)
    faults.mend(x.c, name)
    return name


def cut_clients(x):
    faults.break_connections(x.c, x.master, "normal")
    return x.master


def cut_replication(x):
    faults.break_connections(x.c, x.master, "replica")
    return x.master


def hand_over(x):
    to = x.any_replica()
    done = x.c.cli("failover", "--to", to, check=False)
    return f"to {to}" + (f": {done.stderr.strip()}" if done.returncode else "")


def restart_instance(x):
    name = x.rng.choice(sorted(x.known))
    done = x.c.cli("restart", name, check=False)
    return name + (f": {done.stderr.strip()}" if done.returncode else "")


def reload(x):
    x.c.run.signal(signal.SIGHUP)
    return ""


Operation = namedtuple("Operation", "name weight does needs")


def has_replicas(x):
    return len(x.replicas) >= 2


OPERATIONS = (
    Operation("kill-master", 30, kill_master, has_replicas),
    Operation("kill-replica", 5, kill_replica, has_replicas),
    Operation("kill-master-and-replica", 5, kill_master_and_replica, has_replicas),
    Operation("kill-all-servers", 3, kill_all_servers, None),
    Operation("kill-lagging", 5, kill_lagging, has_replicas),
    Operation("kill-sentinel", 5, kill_sentinel, None),
    Operation("kill-worker", 5, kill_worker, None),
    Operation("kill-supervisor", 5, kill_supervisor, None),
    Operation("kill-supervisor-and-master", 3, kill_supervisor_and_master, has_replicas),
    Operation("power-cut", 3, power_cut, None),
    Operation("stop-replica", 5, stop_replica, has_replicas),
    Operation("stop-master", 4, stop_master, has_replicas),
    Operation("stop-sentinel", 4, stop_sentinel, None),
    Operation("fill-master", 4, fill_master, has_replicas),
    Operation("fill-replica", 4, fill_replica, has_replicas),
    Operation("fill-state", 4, fill_state, has_replicas),
    Operation("cut-replica", 5, cut_replica, has_replicas),
    Operation("cut-clients", 4, cut_clients, None),
    Operation("cut-replication", 4, cut_replication, has_replicas),
    Operation("hand-over", 5, hand_over, has_replicas),
    Operation("restart", 5, restart_instance, has_replicas),
    Operation("reload", 2, reload, None),
)


# --- the run ---


def is_over(x, args, began):
    return ((args.seconds and time.monotonic() - began >= args.seconds) or (args.steps and x.step >= args.steps) or
            (args.kills and x.kills >= args.kills))


def one_step(x, operations, began, done):
    operation = x.begin_step(operations)
    if operation is None:
        raise Broken("none of these operations is possible here")
    text = f"{x.step:5} {time.monotonic() - began:7.1f} s  {operation.name:27}"
    try:
        text += f" {operation.does(x):32}"
        agreed_s, longest_s, errors = x.check()
    except (AssertionError, RuntimeError, redis.RedisError):
        print(text, "FAILED", flush=True)
        raise
    told = f"  told: {', '.join(sorted({e.split()[0] for e in errors}))}" if errors else ""
    print(f"{text} agreed on {x.c.master()} in {agreed_s * 1000:5.0f} ms, longest reply {longest_s * 1000:5.0f} ms, "
          f"{x.load.acked} acknowledged{told}", flush=True)
    done.append((operation.name, agreed_s, longest_s))


def summary(x, done, began):
    print(f"\n{x.step} steps in {time.monotonic() - began:.0f} s, seed {x.seed}: {x.kills} deaths of a master, "
          f"{x.load.acked} writes acknowledged by a replica, {x.load.unconfirmed} not confirmed, "
          f"{len(x.load.errors)} answered with an error; {x.lost_with_both} were lost with both servers that had them, no other")
    print(f"{'operation':27} times  longest reply ms, median and most")
    for name in sorted({d[0] for d in done}):
        times = sorted(d[2] for d in done if d[0] == name)
        print(f"{name:27} {len(times):5}  {times[len(times) // 2] * 1000:10.0f} {times[-1] * 1000:10.0f}")


def keep_logs(x, seed, folder):
    path = Path(folder) / f"chaos-{seed}.log"
    path.write_text(x.c.dump() if x is not None else "")
    return path


def run(args, operations):
    cases, x, done, failed = Cases(f"chaos-{args.seed}"), None, [], None
    began = time.monotonic()
    try:
        x = Chaos(cases, args.seed, args.down_after, args.writers, args.full_check, args.durability)
        with x.load:
            began = time.monotonic()
            while not is_over(x, args, began):
                one_step(x, operations, began, done)
        x.two_died_at = None
        x.look_for_writes(full=True)
        summary(x, done, began)
    except (AssertionError, RuntimeError, redis.RedisError) as e:
        failed = f"{type(e).__name__}: {e}"
        if x is not None:
            print(f"the logs are in {keep_logs(x, args.seed, args.keep)}")
    faults_after = cases.finish(failed=failed is not None)
    if failed is None and faults_after:
        failed = "after the end: " + "\n".join(faults_after)
    if failed:
        print(f"\nBROKEN: {failed}\nto see it again: tests/chaos/runner.py {replay_words(args, x)}", flush=True)
    return 1 if failed else 0


def replay_words(args, x):
    words = [f"--seed {args.seed} --steps {x.step if x is not None else 1} --down-after {args.down_after} "
             f"--writers {args.writers}"]
    words += ["--durability"] if args.durability else []
    return " ".join(words + ([f"--only {args.only}"] if args.only else []))


def parse():
    p = argparse.ArgumentParser(description="Chaos under load; see the head of this file.")
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    p.add_argument("--seconds", type=float, default=0)
    p.add_argument("--steps", type=int, default=0)
    p.add_argument("--kills", type=int, default=0)
    p.add_argument("--only", default="")
    p.add_argument("--down-after", type=int, default=2000)
    p.add_argument("--writers", type=int, default=3)
    p.add_argument("--full-check", type=int, default=25)
    p.add_argument("--durability", action="store_true")
    p.add_argument("--keep", default=".")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    if not (args.seconds or args.steps or args.kills):
        args.seconds = 60
    return args


def main():
    args = parse()
    if args.list:
        for o in OPERATIONS:
            print(f"{o.name:27} weight {o.weight:2}  {' '.join((o.does.__doc__ or '').split())}")
        return 0
    names = [n for n in args.only.split(",") if n]
    unknown = set(names) - {o.name for o in OPERATIONS}
    if unknown:
        print(f"chaos: no such operation: {', '.join(sorted(unknown))}; --list names them", file=sys.stderr)
        return 2
    operations = [o for o in OPERATIONS if o.name in names] if names else [o for o in OPERATIONS if o.weight]
    print(f"chaos with seed {args.seed}: {args.writers} writers, Sentinel's down-after {args.down_after} ms", flush=True)
    return run(args, operations)


if __name__ == "__main__":
    sys.exit(main())
