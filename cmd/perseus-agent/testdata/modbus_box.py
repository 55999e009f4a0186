# A box of meters made of pymodbus, for scan_test.go and probe_box_test.go.
# Reads one line of JSON: {"framer": "socket" or "rtu", "units": {"1": {"input":
# {"72": [1, 2]}, "holding": {}}}, "identity": {"VendorName": ".."}}: blocks of
# registers by their first address.
# Prints the port it took once it listens, and serves until standard input ends.
import asyncio
import json
import sys

import pymodbus
from pymodbus import ModbusDeviceIdentification
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

NONE = [SimData(0, values=False, count=8, datatype=DataType.BITS)]


def table(blocks):
    data = [SimData(int(a), values=words, datatype=DataType.REGISTERS) for a, words in sorted(blocks.items(), key=lambda b: int(b[0]))]
    return data or [SimData(0xFFF0, values=[0], datatype=DataType.REGISTERS)]


def identity(setup):
    return ModbusDeviceIdentification(info_name=setup["identity"]) if setup.get("identity") else None


async def main(setup):
    devices = [SimDevice(int(u), simdata=(NONE, NONE, table(t.get("holding", {})), table(t.get("input", {})))) for u, t in setup["units"].items()]
    server = ModbusTcpServer(devices, framer=FramerType(setup["framer"]), identity=identity(setup), address=("127.0.0.1", 0), ignore_missing_devices=True)
    await server.serve_forever(background=True)
    print(f"pymodbus {pymodbus.__version__} {server.transport.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()


asyncio.run(main(json.loads(sys.stdin.readline())))
