"""The keeper of one agent: starts it, holds its pipes or its terminal, writes down how it ended. Outlives
every daemon.

Run as one bundle of byte code that `keeper_program.py` makes of this package. It imports nothing else of
ours, and of the library only modules written in C: each one in Python costs a millisecond, and memory in
every keeper. What it promises:

- The open file behind LOCK_FD carries the lock of the directory for as long as this process lives.
- Files, in this order: `child.json` with pid null (about to execute) → exec → `child.json` with the
  identity → `spool.<offset>` and `index.<offset>` → `exit.json`, whose space is reserved before exec.
- It never waits for anyone: no read, write or connection can stall the program.
- It leaves when its program has never started, or when the exit record is on disk and the output has
  ended. A record that cannot be written is served over the socket until a daemon says COLLECTED.
- A stop that began is finished here, whatever happens to the daemon.
- Started with a further argument `gate`, it says BORN at once, and touches nothing before it hears GO on
  its control connection: until then it may be moved into another cgroup, or replaced by another keeper.
- SIGHUP and SIGINT are ignored; SIGTERM (system shutdown) ends the tree and is recorded as `shutdown`;
  SIGUSR1 makes it listen anew, for a daemon that found the socket's file deleted.

`--zygote FD` makes it a fork server for keepers instead (see `zygote`).

Everything about the frames is explained in `frames.py`.
"""
