package agent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/dcc"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt"
)

// Factory makes the driver of a bus. Device i of the poller is meters[i], and
// point j of it is meters[i].Registers[j].
type Factory func(b config.Bus, meters []config.Meter, now func() time.Time, log *slog.Logger) (drivers.Poller, error)

// Drivers are the drivers of this version, by the name in the configuration.
func Drivers() map[string]Factory { return map[string]Factory{"modbus": newModbus} }

// Listeners are the drivers of this version whose wires speak by themselves.
func Listeners() map[string]ListenerFactory {
	return map[string]ListenerFactory{"mqtt": newMQTT, "dcc": newDCC}
}

func newModbus(b config.Bus, meters []config.Meter, now func() time.Time, log *slog.Logger) (drivers.Poller, error) {
	c := modbus.Config{URL: b.URL, Timeout: b.Timeout, Pause: b.Pause, Now: now, Logger: log, Devices: make([]modbus.Device, 0, len(meters))}
	var points []modbus.Point // of the meter before
	for i := range meters {
		m := &meters[i]
		d := modbus.Device{Meter: m.ID, Unit: m.Unit, Serial: m.SerialRegister, SunSpec: m.SunSpec}
		if i == 0 || !sameSlice(m.Registers, meters[i-1].Registers) {
			points = make([]modbus.Point, len(m.Registers))
			for j := range points {
				points[j] = m.Registers[j].Point
			}
		}
		d.Points = slices.Clip(points)
		if m.CheckPower != nil {
			d.Points, d.Checks = append(d.Points, m.CheckPower.Point), 1
		}
		for _, a := range m.Alarms {
			d.Alarms = append(d.Alarms, a.Alarm)
		}
		c.Devices = append(c.Devices, d)
	}
	bus, err := modbus.New(c)
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	return bus, nil
}

// sameSlice reports whether two meters share their registers.
func sameSlice(a, b []config.Register) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func newMQTT(b config.Bus, meters []config.Meter, now func() time.Time, _ Keeper, log *slog.Logger) (drivers.Listener, error) {
	l := b.Listening
	password, err := secret(l.Password)
	if err != nil {
		return nil, fmt.Errorf("bus %s: password_file: %w", b.ID, err)
	}
	secured, err := tlsOf(l)
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	c := mqtt.Config{
		URLs: l.URLs, ClientID: l.ClientID, User: l.User, Password: password, TLS: secured, Format: l.Format, Stale: l.Stale, Silent: l.Silent, Now: now, Logger: log,
	}
	for _, m := range meters {
		d := mqtt.Device{Meter: m.ID, Name: m.Device}
		if m.Metadata != "" {
			if d.Metadata, err = os.ReadFile(m.Metadata); err != nil {
				return nil, fmt.Errorf("meter %s: metadata: %w", m.ID, err)
			}
		}
		for _, r := range m.Registers {
			d.Points = append(d.Points, *r.Heard)
		}
		if m.CheckPower != nil {
			d.Points = append(d.Points, *m.CheckPower.Heard)
		}
		c.Devices = append(c.Devices, d)
	}
	broker, err := mqtt.New(c)
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	return broker, nil
}

func newDCC(b config.Bus, meters []config.Meter, now func() time.Time, keep Keeper, log *slog.Logger) (drivers.Listener, error) {
	l := b.Listening
	password, err := secret(l.Password)
	if err != nil {
		return nil, fmt.Errorf("bus %s: password_file: %w", b.ID, err)
	}
	token, err := secret(l.Token)
	if err != nil {
		return nil, fmt.Errorf("bus %s: token_file: %w", b.ID, err)
	}
	secured, err := tlsOf(l)
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	c := dcc.Config{
		Format: l.Format, URLs: l.URLs, ClientID: l.ClientID, User: l.User, Password: password, Token: token, TLS: secured, Marks: keep, Now: now, Logger: log,
	}
	for _, m := range meters {
		c.Devices = append(c.Devices, dcc.Device{Meter: m.ID, Name: m.Device, Measures: m.Measures()})
	}
	feed, err := dcc.New(c)
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	return feed, nil
}

// secret reads a file that holds a password or a key; "" where there is none.
func secret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return s, nil
}

// tlsOf is how a bus proves who is who; nil: by the machine's roots, with no
// certificate of our own.
func tlsOf(l *config.Listening) (*tls.Config, error) {
	if l.CA == "" && l.Cert == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.CA != "" {
		pem, err := os.ReadFile(l.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: no certificate in %s", l.CA)
		}
	}
	if l.Cert != "" {
		pair, err := tls.LoadX509KeyPair(l.Cert, l.Key)
		if err != nil {
			return nil, fmt.Errorf("cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
