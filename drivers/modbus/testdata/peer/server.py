# pymodbus as an independent peer, for peer_linux_test.go: register a of each
# table holds a; it says who it is by 2B/0E. argv: framer (socket or rtu), and
# for TLS certificate, key and the clients' authority. Prints the port that it
# took, and serves until standard input ends.
import asyncio
import ssl
import sys

import pymodbus
from pymodbus import ModbusDeviceIdentification
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice


async def main(framer, *files):
    identity = ModbusDeviceIdentification(info_name={
        "VendorName": "Perseus Works", "ProductCode": "PX-1", "MajorMinorRevision": "2.7", "ProductName": "Test meter", "ModelName": "PX",
    })
    device = SimDevice(1, simdata=[SimData(0, values=list(range(200)), datatype=DataType.REGISTERS)])
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files[0], files[1])
        context.load_verify_locations(files[2])
        context.verify_mode = ssl.CERT_REQUIRED
        server = ModbusTlsServer([device], framer=FramerType.SOCKET, address=("127.0.0.1", 0), sslctx=context, identity=identity)
    else:
        server = ModbusTcpServer([device], framer=FramerType(framer), address=("127.0.0.1", 0), identity=identity)
    await server.serve_forever(background=True)
    print(f"pymodbus {pymodbus.__version__} {server.transport.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()


asyncio.run(main(*sys.argv[1:]))
