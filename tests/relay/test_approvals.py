"""What agents ask, as the relay shows it and hands the answers on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx_sse
import msgspec
import pytest
from relay_in_process import RelayInProcess
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Status
from relay.wire.approvals import AnswerRequest, Approval, ApprovalListQuery, ApprovalState, Verdict
from relay.wire.base import now_ms
from relay.wire.commands import AnswerCommand, ChangeCommand, InterruptCommand
from relay.wire.errors import ApiError, Code, ErrorDetail
from relay.wire.events import Event
from relay.wire.health import Scope
from relay.wire.steering import ChangeRequest

AGENT, OTHER = "ag-0123456789ab", "ag-ba9876543210"
FIRST, SECOND, THIRD = "ap-111111111111", "ap-112222222222", "ap-333333333333"
ALLOW = AnswerRequest(decision=Verdict.ALLOW, reason="fine")


def asked(id_: str, at: int = 1, agent_id: str = AGENT) -> Approval:
    return Approval(id=id_, agent_id=agent_id, tool="Bash", asked_at=at, input='{"command":"ls"}')


def answered(approval: Approval, state: ApprovalState = ApprovalState.ALLOWED) -> Approval:
    return msgspec.structs.replace(approval, state=state, answered_at=now_ms(), answered_by="ann")


async def ids(relay: RelayInProcess, **query: object) -> list[str]:
    found = await relay.client().call(
        endpoints.LIST_APPROVALS,
        query=ApprovalListQuery(**query),  # type: ignore[arg-type]
    )
    return [approval.id for approval in found]


async def refused(call: Awaitable[object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value


def answer(relay: RelayInProcess, reference: str, request: AnswerRequest = ALLOW) -> Awaitable[Approval]:
    return relay.client().call(endpoints.ANSWER_APPROVAL, request, path={"id": reference})


async def test_what_is_asked_is_listed_oldest_first_until_it_is_answered(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent(AGENT, approvals=[asked(SECOND, 2), asked(THIRD, 3)]), agent(OTHER))
    await host.report(agent(OTHER, approvals=[asked(FIRST, 1)]))

    assert await ids(relay) == [FIRST, SECOND, THIRD]
    assert await ids(relay, agent_id=AGENT) == [SECOND, THIRD]
    assert await ids(relay, orchestrator_id="h2") == []
    assert await ids(relay, limit=1) == [FIRST]

    await host.report(agent(AGENT, approvals=[answered(asked(SECOND, 2)), asked(THIRD, 3)]))

    assert await ids(relay) == [FIRST, THIRD]
    assert await ids(relay, state="allowed") == [SECOND]
    assert await ids(relay, state="all") == [FIRST, SECOND, THIRD]
    assert (await refused(ids(relay, state="open"))).code is Code.INVALID


async def test_an_approval_belongs_to_the_agent_and_the_host_that_told_of_it(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    forged = msgspec.structs.replace(asked(FIRST, agent_id=OTHER), orchestrator_id="h2")
    await host.report(agent(AGENT, approvals=[forged, msgspec.structs.replace(forged, id="ap-\n%")]))

    (found,) = await relay.client().call(endpoints.LIST_APPROVALS)
    assert (found.id, found.agent_id, found.orchestrator_id) == (FIRST, AGENT, "h1")


async def test_a_reference_is_an_id_the_start_of_one_or_the_agent_that_asks(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(
        agent(AGENT, label="worker", approvals=[asked(SECOND), asked(THIRD)]),
        agent(OTHER, label="ap-south", approvals=[asked(FIRST), answered(asked("ap-114444444444"))]),
    )

    async def named(reference: str) -> str:
        return (await relay.client().call(endpoints.GET_APPROVAL, path={"id": reference})).id

    assert await named(THIRD) == THIRD
    assert await named("ap-3") == await named("33") == THIRD
    assert await named("ap-114") == "ap-114444444444"
    assert await named("ap-111") == FIRST
    assert await named(OTHER) == await named("ap-south") == FIRST
    assert (await refused(named("ap-11"))).details["candidates"] == [FIRST, SECOND]
    assert (await refused(named("worker"))).code is Code.AMBIGUOUS
    assert (await refused(named("ap-9"))).code is Code.NOT_FOUND
    assert (await refused(named("nobody"))).code is Code.NOT_FOUND


async def test_the_host_answers_and_the_relay_knows_at_once(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    said = agent(AGENT, approvals=[asked(FIRST)])
    await host.report(said)
    async with host.commands() as commands:
        calling = asyncio.ensure_future(answer(relay, AGENT))
        envelope = await anext(commands)
        assert envelope.body == AnswerCommand(agent_id=AGENT, approval_id=FIRST, request=ALLOW, by="admin")
        assert envelope.expires_at is not None
        done = answered(asked(FIRST))
        await host.ack(envelope, agent(AGENT, approvals=[done]), result=msgspec.to_builtins(done))

        assert (await calling).state is ApprovalState.ALLOWED

    assert await ids(relay) == []
    late = await refused(answer(relay, FIRST))
    assert (late.code, late.details["answeredBy"]) == (Code.CONFLICT, "ann")


async def test_the_host_s_refusal_is_the_answer(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent(AGENT, approvals=[asked(FIRST)]))
    async with host.commands() as commands:
        calling = asyncio.ensure_future(answer(relay, FIRST))
        refusal = ErrorDetail(code="conflict", message="was denied before by bob")
        await host.ack(await anext(commands), error=refusal)

        assert (await refused(calling)).message == "was denied before by bob"
    assert await ids(relay) == [FIRST]


async def test_an_answer_that_says_nothing_sound_does_not_reach_the_host(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent(AGENT, approvals=[asked(FIRST)]))
    changed_and_denied = AnswerRequest(decision=Verdict.DENY, input="{}")

    assert (await refused(answer(relay, FIRST, changed_and_denied))).code is Code.INVALID
    long = AnswerRequest(decision=Verdict.DENY, reason="x" * 20_000)
    assert (await refused(answer(relay, FIRST, long))).code is Code.TOO_LARGE


@pytest.mark.parametrize("scope", [Scope.AGENT, Scope.VIEWER, Scope.ORCHESTRATOR])
async def test_only_operators_answer(relay: RelayInProcess, host: ScriptedHost, scope: Scope) -> None:
    """An agent's own token least of all."""
    await host.report(agent(AGENT, approvals=[asked(FIRST)]))
    bound = {Scope.AGENT: AGENT, Scope.ORCHESTRATOR: "h1"}.get(scope)
    client = relay.client(await relay.token(scope, bound))

    for endpoint, body, path in (
        (endpoints.ANSWER_APPROVAL, ALLOW, {"id": FIRST}),
        (endpoints.INTERRUPT_AGENT, None, {"id": AGENT}),
        (endpoints.CHANGE_AGENT, ChangeRequest(approval_mode="open"), {"id": AGENT}),
    ):
        assert (await refused(client.call(endpoint, body, path=path))).code is Code.FORBIDDEN  # type: ignore[arg-type]
    if scope is not Scope.AGENT:
        assert [each.id for each in await client.call(endpoints.LIST_APPROVALS)] == [FIRST]


async def test_an_agent_that_is_lost_asks_nothing(relay: RelayInProcess, host: ScriptedHost) -> None:
    """Also where the relay says so itself: the host's roster does not know the agent any more."""
    await host.report(agent(AGENT, approvals=[asked(FIRST)]))
    await host.roster()

    assert (await relay.get(AGENT)).status is Status.LOST
    assert await ids(relay) == []
    assert await ids(relay, state="withdrawn") == [FIRST]


async def test_each_approval_is_told_once_when_it_is_asked_and_when_it_is_settled(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    async with relay.client().stream(endpoints.EVENTS) as response:
        events = httpx_sse.EventSource(response).aiter_sse()
        before = agent(AGENT, approvals=[asked(FIRST)])
        await host.roster(before)  # tells of it first; the report that comes after is old news
        await host.report(before)
        await host.report(agent(AGENT, approvals=[answered(asked(FIRST)), asked(SECOND)]))
        await host.roster()

        told: list[tuple[str, str]] = []
        async with asyncio.timeout(30):
            while len(told) < 4:
                event = msgspec.convert(json.loads((await anext(events)).data), Event)
                if event.type.startswith("approval."):
                    told.append((event.type, event.data["approval"]["id"]))
                    assert event.agent_id == AGENT

    assert told == [
        ("approval.asked", FIRST),
        ("approval.asked", SECOND),
        ("approval.settled", FIRST),
        ("approval.settled", SECOND),
    ]


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (
            lambda client: client.call(endpoints.INTERRUPT_AGENT, path={"id": AGENT}),
            InterruptCommand(agent_id=AGENT),
        ),
        (
            lambda client: client.call(
                endpoints.CHANGE_AGENT, ChangeRequest(model="opus"), path={"id": AGENT}
            ),
            ChangeCommand(agent_id=AGENT, request=ChangeRequest(model="opus")),
        ),
    ],
)
async def test_turns_are_interrupted_and_models_changed_by_the_host(
    relay: RelayInProcess, host: ScriptedHost, call: Callable[..., Awaitable[object]], body: object
) -> None:
    await host.report(agent(AGENT))
    async with host.commands() as commands:
        calling = asyncio.ensure_future(call(relay.client()))
        envelope = await anext(commands)
        assert envelope.body == body
        await host.ack(envelope, agent(AGENT, model="opus"))

        assert (await calling).model == "opus"  # type: ignore[attr-defined]
