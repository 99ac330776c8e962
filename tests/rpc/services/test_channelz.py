"""Channelz on the port of the calls, where it is asked for."""

from typing import Any

import grpc
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc

from tests.rpc.fakes import serving
from tests.rpc.test_answering import COMMIT, SETTLED
from tests.rpc.wire import refusal_of
from tollkeeper.rpc.settings import ServerSettings

pb: Any = channelz_pb2


def stub(channel: Any) -> Any:
    return channelz_pb2_grpc.ChannelzStub(channel)


async def test_channelz_tells_of_the_server_and_of_the_connection_that_asks() -> None:
    settings = ServerSettings("127.0.0.1:0", channelz=True)
    async with serving(SETTLED, settings=settings) as served:
        for _ in range(3):
            await served.ledger.Commit(COMMIT)
        found = await stub(served.channel).GetServers(pb.GetServersRequest())
        ours = [each for each in found.server if each.data.calls_succeeded >= 3]
        sockets = await stub(served.channel).GetServerSockets(
            pb.GetServerSocketsRequest(server_id=ours[0].ref.server_id)
        )
        socket = await stub(served.channel).GetSocket(
            pb.GetSocketRequest(socket_id=sockets.socket_ref[0].socket_id)
        )

    assert len(ours) == 1
    assert len(sockets.socket_ref) == 1
    assert socket.socket.data.streams_started >= 4
    assert socket.socket.remote.tcpip_address.port > 0


async def test_channelz_is_off_where_it_is_not_asked_for() -> None:
    async with serving() as served:
        refusal = await refusal_of(stub(served.channel).GetServers(pb.GetServersRequest()))

    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
