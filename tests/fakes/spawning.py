"""A daemon of which only the spawner is there, to be killed: `spawning.py FOLDER AGENT_ID STEP… [-- stop]`.

Spawns the scripted agent under FOLDER, prints its pid as a line, then begins to stop it if asked, prints
`stopping`, and waits to be killed. `MUSTER_TEST_KEEPERS` is `forked` for keepers from a zygote,
`MUSTER_TEST_MEMORY` the agent's limit in bytes.
"""

from __future__ import annotations

import asyncio
import os
import sys

from muster_processes import agent_argv

from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.launch import Launch


async def main(folder: str, agent_id: str, *words: str) -> None:
    stop = words[-2:] == ("--", "stop")
    steps = words[:-2] if stop else words
    keepers = Keepers(f"{folder}/cache", zygote=os.environ["MUSTER_TEST_KEEPERS"] == "forked")
    keepers.begin()
    if os.environ["MUSTER_TEST_KEEPERS"] == "forked":
        await keepers.ready()
    spawner = KeeperSpawner(f"{folder}/agents", f"{folder}/s", f"{folder}/cache", keepers=keepers)
    memory = int(os.environ.get("MUSTER_TEST_MEMORY", "0")) or None
    environment = {"PATH": os.environ["PATH"]}
    launch = Launch(agent_id, agent_argv(*steps), environment, "/", memory_bytes=memory)
    session = await spawner.spawn(launch)
    print(session.identity.pid, flush=True)
    if stop:
        await anext(session.output(follow=True))  # its first output says that it is ready
        stopping = asyncio.ensure_future(session.stop(interrupt_s=0.3, terminate_s=0.3))
        await asyncio.sleep(0)
        await session.live_members()  # answered after STOP was taken
        print("stopping", flush=True)
        await stopping
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
