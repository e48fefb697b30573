"""A daemon of which only the spawner is there, to be killed: `spawning.py FOLDER AGENT_ID STEP… [-- stop]`.

Spawns the scripted agent under FOLDER, prints its pid as a line, then begins to stop it if asked, prints
`stopping`, and waits to be killed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from muster_processes import agent_argv

from spawners.client import KeeperSpawner
from spawners.launch import Launch


async def main(folder: str, agent_id: str, *words: str) -> None:
    stop = words[-2:] == ("--", "stop")
    steps = words[:-2] if stop else words
    spawner = KeeperSpawner(f"{folder}/agents", f"{folder}/s", f"{folder}/cache")
    session = await spawner.spawn(Launch(agent_id, agent_argv(*steps), {"PATH": os.environ["PATH"]}, "/"))
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
