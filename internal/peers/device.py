"""A BACnet/IP meter for the tests of bridges: import as an analogue value in
kWh; export as an accumulator in steps of 0.1 kWh and, for bridges that know no
accumulators, as an analogue input in kWh. Each line "kWh pulses" on standard
input sets them."""

import asyncio
import socket
import sys

from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.analog import AnalogInputObject, AnalogValueObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.object import Object as LocalObject
from bacpypes3.object import AccumulatorObject
from bacpypes3.pdu import Address


class Accumulator(LocalObject, AccumulatorObject):
    pass


def share_port(loop):
    """The bridges know no port but 47808, so that both must have it, this one
    on its own loopback address. bacpypes3, which sends nothing to its own port
    on loopback, is told another."""
    create = loop.create_datagram_endpoint

    async def shared(factory, local_addr, **_):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((local_addr[0], 47808))
        return await create(factory, sock=s)

    loop.create_datagram_endpoint = shared


async def main(address):
    share_port(asyncio.get_running_loop())
    device = DeviceObject(objectIdentifier=("device", 114), objectName="meter", vendorIdentifier=999)
    app = NormalApplication(device, Address(address + ":47809"))
    common = {"statusFlags": [0, 0, 0, 0], "eventState": "normal", "outOfService": False, "units": "kilowattHours"}
    energy = AnalogValueObject(objectIdentifier=("analogValue", 202), objectName="Main kWh", presentValue=0.0, **common)
    pulses = Accumulator(objectIdentifier=("accumulator", 1), objectName="Main pulses", presentValue=0, scale={"integerScale": -1}, maxPresValue=99999999, **common)
    export = AnalogInputObject(objectIdentifier=("analogInput", 7), objectName="Main export", presentValue=0.0, **common)
    for o in energy, pulses, export:
        app.add_object(o)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        kwh, count = line.split()
        energy.presentValue, pulses.presentValue, export.presentValue = float(kwh), int(count), int(count) / 10
        print("set", flush=True)


asyncio.run(main(sys.argv[1]))
