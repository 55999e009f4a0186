package modbus

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"time"

	wire "github.com/simonvetter/modbus"
)

// tlsClient is Modbus/TCP Security. It reads its files whenever it connects,
// so that a renewed certificate is taken up without a restart.
type tlsClient struct {
	*wire.ModbusClient
	target  target
	timeout time.Duration
	logger  *log.Logger
	unit    uint8
}

func (c *tlsClient) Open() error {
	pair, err := tls.LoadX509KeyPair(c.target.cert, c.target.key)
	if err != nil {
		return fmt.Errorf("cert and key: %w", err)
	}
	roots, err := os.ReadFile(c.target.ca)
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return fmt.Errorf("ca: no certificate in %s", c.target.ca)
	}
	c.ModbusClient, err = wire.NewClient(&wire.ClientConfiguration{
		URL: "tcp+tls://" + c.target.address, Timeout: c.timeout, Logger: c.logger, TLSClientCert: &pair, TLSRootCAs: pool,
	})
	if err == nil {
		err = c.ModbusClient.Open()
	}
	if err == nil {
		err = c.ModbusClient.SetUnitId(c.unit)
	}
	return err
}

// SetUnitId may come before Open.
func (c *tlsClient) SetUnitId(u uint8) error {
	if c.unit = u; c.ModbusClient == nil {
		return nil
	}
	return c.ModbusClient.SetUnitId(u)
}
