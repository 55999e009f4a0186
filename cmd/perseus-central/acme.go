package main

import (
	"fmt"
	"net/netip"

	"github.com/perseus-edge/perseus-edge/directory/acme"
)

// acmeConfig says how the members' servers are asked before they get a
// certificate (ACME, http-01). All of it is for sandboxes: in production the
// challenge is at port 80 of a public address.
type acmeConfig struct {
	Port     int      `yaml:"port"`     // default 80
	Networks []string `yaml:"networks"` // networks that may be asked though they are not public, e.g. 10.0.0.0/8
}

func (c *config) checkACME() error {
	if p := c.Directory.ACME.Port; p < 0 || p > 65535 {
		return fmt.Errorf("directory.acme.port: %d is not a port", p)
	}
	_, err := c.acmeNetworks()
	return err
}

func (c *config) acmeNetworks() (out []netip.Prefix, err error) {
	for _, s := range c.Directory.ACME.Networks {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("directory.acme.networks: %q: give a network such as 10.0.0.0/8", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// acmeValidator asks as the configuration says.
func (c *config) acmeValidator() acme.Validator {
	networks, _ := c.acmeNetworks() // checked when the configuration was read
	return acme.Validator{Port: c.Directory.ACME.Port, Networks: networks}
}
