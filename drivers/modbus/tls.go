package modbus

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"
)

// dialTimeout is how long a connection may take to be made.
const dialTimeout = 5 * time.Second

// dialSocket connects to a device or converter.
func dialSocket(network, address string, timeout time.Duration) (link, error) {
	conn, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return nil, err
	}
	return &socketLink{conn: conn, timeout: timeout}, nil
}

// dialTLS connects by Modbus/TCP Security, whose devices want to see a
// certificate too. It reads the files whenever it connects, so that a renewed
// certificate is taken up without a restart.
func dialTLS(t target, timeout time.Duration) (link, error) {
	pair, err := tls.LoadX509KeyPair(t.cert, t.key)
	if err != nil {
		return nil, fmt.Errorf("cert and key: %w", err)
	}
	roots, err := os.ReadFile(t.ca)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !c.RootCAs.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("ca: no certificate in %s", t.ca)
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: dialTimeout}, "tcp", t.address, c)
	if err != nil {
		return nil, err
	}
	return &socketLink{conn: conn, timeout: timeout}, nil
}
