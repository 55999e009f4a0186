package agent

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

// Factory makes the driver of a bus. Device i of the poller is meters[i], and
// point j of it is meters[i].Registers[j].
type Factory func(b config.Bus, meters []config.Meter, now func() time.Time, log *slog.Logger) (drivers.Poller, error)

// Drivers are the drivers of this version, by the name in the configuration.
func Drivers() map[string]Factory { return map[string]Factory{"modbus": newModbus} }

// Listeners are the drivers of this version whose wires speak by themselves.
func Listeners() map[string]ListenerFactory { return map[string]ListenerFactory{} }

func newModbus(b config.Bus, meters []config.Meter, now func() time.Time, log *slog.Logger) (drivers.Poller, error) {
	c := modbus.Config{URL: b.URL, Timeout: b.Timeout, Pause: b.Pause, Now: now, Logger: log}
	for _, m := range meters {
		d := modbus.Device{Meter: m.ID, Unit: m.Unit, Serial: m.SerialRegister}
		for _, r := range m.Registers {
			d.Points = append(d.Points, r.Point)
		}
		c.Devices = append(c.Devices, d)
	}
	bus, err := modbus.New(c)
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	return bus, nil
}
