package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// messagesConfig is about the messages that tell clients of withdrawals.
type messagesConfig struct {
	Private *bool  `yaml:"private"` // deliver to private and loopback addresses too; default: only where the registry is a sandbox
	Subject string `yaml:"subject"` // subject of the message of withdrawal, where the registry has moved it
}

// sandbox reports whether nothing here is for real: the registry says so in its
// name, or is our own.
func (c *config) sandbox() bool {
	u, err := url.Parse(c.Registry)
	return c.Terms.Serve || err == nil && strings.Contains("."+u.Hostname()+".", ".sandbox.")
}

// messageDelivery makes the way by which messages leave; nil, with a word in
// the log, where the identity folder lacks what that needs. They wait then.
func messageDelivery(c *config, dir *directory.Service, logger *slog.Logger) (permission.Delivery, error) {
	folder := c.path(c.Relay.Identity)
	for _, file := range []string{clientCert, clientKey, serverRoot} {
		if absent(folder, file) {
			logger.Warn("clients are not told of withdrawals, the messages wait: "+file+" is missing (perseus-central init makes it; docs/operator.md, Messages)", "folder", folder)
			return nil, nil
		}
	}
	roots, err := identity.ReadCertificates(filepath.Join(folder, serverRoot))
	if err != nil {
		return nil, err
	}
	pair := func() (*tls.Certificate, error) {
		return identity.KeyPair(filepath.Join(folder, clientCert), filepath.Join(folder, clientKey)) // read anew: it may have been renewed
	}
	if _, err := pair(); err != nil {
		return nil, err
	}
	private := c.sandbox()
	if c.Relay.Messages.Private != nil {
		private = *c.Relay.Messages.Private
	}
	find, err := lookup(c, dir)
	if err != nil {
		return nil, err
	}
	return permission.NewHTTPDelivery(permission.HTTPDeliveryConfig{Find: find, Certificate: pair, ServerRoots: identity.Pool(roots...), Private: private})
}

// lookup finds an application's address for messages: in the directory beside
// the relay, or by its URL.
func lookup(c *config, dir *directory.Service) (func(context.Context, string) (string, error), error) {
	if dir == nil {
		client, err := directoryClient(c)
		if err != nil {
			return nil, err
		}
		return permission.NewDirectoryLookup(c.Directory.URL, client, nil).Find, nil
	}
	return func(ctx context.Context, application string) (string, error) {
		id, ok := strings.CutPrefix(application, c.Directory.URL+"/a/")
		if !ok {
			return "", fmt.Errorf("it is not in the directory %s", c.Directory.URL)
		}
		a, err := dir.Application(ctx, id)
		return a.MessageDelivery, err
	}, nil
}

// directoryClient asks a directory elsewhere.
func directoryClient(c *config) (*http.Client, error) {
	if c.Relay.DirectoryCA == "" {
		return http.DefaultClient, nil
	}
	roots, err := identity.ReadCertificates(c.path(c.Relay.DirectoryCA))
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil)}}, nil
}
