package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/perseus-edge/perseus-edge/directory/ca"
)

// checkStatus checks where certificates' status can be asked for, and the
// issuers' keys.
func (c *config) checkStatus() error {
	d := c.Directory
	var problems []error
	if d.StatusURL != "" {
		u, err := url.Parse(d.StatusURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" {
			problems = append(problems, fmt.Errorf("directory.status_url: %q: give an address such as http://status.example.org", d.StatusURL))
		}
	}
	if d.StatusListen != "" {
		problems = append(problems, listen("directory.status_listen", d.StatusListen))
		if d.StatusURL == "" {
			problems = append(problems, errors.New("directory.status_listen: of use only with directory.status_url, which certificates name"))
		}
	}
	for h := range d.IssuerKeys {
		if h != string(ca.Client) && h != string(ca.Signing) && h != string(ca.Server) {
			problems = append(problems, fmt.Errorf("directory.issuer_keys: %q: use client, signing and server", h))
		}
	}
	return errors.Join(problems...)
}

// statusURL is where certificates say that their status can be asked for.
func (c *config) statusURL() string {
	if c.Directory.StatusURL != "" {
		return c.Directory.StatusURL
	}
	return c.Directory.URL
}

func (c *config) issuerKeys() map[ca.Hierarchy]string {
	keys := map[ca.Hierarchy]string{}
	for h, address := range c.Directory.IssuerKeys {
		keys[ca.Hierarchy(h)] = address
	}
	return keys
}
