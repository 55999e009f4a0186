# A Modbus TCP server of pymodbus, with pymodbus' own registers: for replay_test.go.
# Prints the port it took once it listens, and serves until standard input ends.
# Registers are set by whoever writes to it over Modbus; nothing here counts.
import asyncio
import sys

import pymodbus
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


async def main(units):
    devices = [SimDevice(u, simdata=[SimData(0, count=200, values=0, datatype=DataType.REGISTERS)]) for u in units]
    server = ModbusTcpServer(devices, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    print(f"pymodbus {pymodbus.__version__} {port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()


asyncio.run(main(range(1, int(sys.argv[1]) + 1)))
