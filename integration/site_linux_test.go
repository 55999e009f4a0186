package integration

// serialPorts says that perseus-sim can play a serial port here.
const serialPorts = true
