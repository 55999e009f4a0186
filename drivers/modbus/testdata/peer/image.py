# A device image served by pymodbus, for sunspec_linux_test.go and
# alarms_linux_test.go. Reads JSON lines. The first: {"units": {"1": {"coil":
# {"4": [0, 1]}, "discrete": {}, "holding": {"40000": [1, 2]}, "input": {}}},
# "most": 125}: blocks by their first address; no read of more registers than
# "most" is answered. Each further one sets registers, [unit, function, address,
# [values]], or the number of registers from which on reads are refused, [most];
# it is answered "ok". Serves until standard input ends.
import asyncio
import json
import sys

import pymodbus
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

most = 125


def registers(blocks):
    data = [SimData(int(a), values=words, datatype=DataType.REGISTERS) for a, words in sorted(blocks.items(), key=lambda b: int(b[0]))]
    return data or [SimData(0xFFF0, values=[0], datatype=DataType.REGISTERS)]


def bits(blocks):
    data = []
    for a, values in sorted(blocks.items(), key=lambda b: int(b[0])):
        values = [bool(v) for v in values]
        data.append(SimData(int(a), values=values + [False] * (-len(values) % 16), datatype=DataType.BITS))
    return data or [SimData(0xFFE0, values=[False] * 16, datatype=DataType.BITS)]


async def limit(function_code, start_address, address, count, current_registers, set_values):
    if function_code in (3, 4) and count > most:
        return ExcCodes.ILLEGAL_ADDRESS
    return None


async def main(setup):
    global most
    most = setup.get("most", 125)
    devices = [SimDevice(int(u), simdata=(bits(t.get("coil", {})), bits(t.get("discrete", {})), registers(t.get("holding", {})), registers(t.get("input", {}))), action=limit)
               for u, t in setup["units"].items()]
    server = ModbusTcpServer(devices, framer=FramerType(setup.get("framer", "socket")), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    print(f"pymodbus {pymodbus.__version__} {server.transport.sockets[0].getsockname()[1]}", flush=True)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if len(order) == 1:
            most = order[0]
        else:
            unit, function, address, values = order
            await server.async_setValues(unit, function, address, [bool(v) for v in values] if function in (1, 2, 5, 15) else values)
        print("ok", flush=True)
    await server.shutdown()


asyncio.run(main(json.loads(sys.stdin.readline())))
