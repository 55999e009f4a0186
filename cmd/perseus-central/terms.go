package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/registry"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity"
)

// termsConfig says where the registry's terms come from. With neither serve nor
// fetch the registry is only named, and our own permission texts are shown.
type termsConfig struct {
	Serve  bool   `yaml:"serve"`  // this directory serves the registry itself: for sandboxes
	Listen string `yaml:"listen"` // of serve, where the registry has a host of its own; else it lies below directory.url
	Fetch  bool   `yaml:"fetch"`  // the registry is elsewhere: its terms are fetched, checked and kept
	Cache  string `yaml:"cache"`  // of fetch: the folder where they are kept (default registry-cache)
	CA     string `yaml:"ca"`     // of fetch: PEM roots of the registry's server; default: the system's
}

// checkTerms makes sure that nothing is set that would do nothing.
func (c *config) checkTerms() error {
	t := &c.Terms
	u, err := url.Parse(c.Registry) // scheme.New has checked it
	if err != nil {
		return err
	}
	below := strings.HasPrefix(c.Registry, c.Directory.URL+"/")
	switch {
	case t.Serve && t.Fetch:
		return errors.New("terms: serve and fetch exclude each other: serve is for a sandbox of your own, fetch for a registry elsewhere")
	case t.Listen != "" && !t.Serve:
		return errors.New("terms.listen: of use only with terms.serve")
	case (t.Cache != "" || t.CA != "") && !t.Fetch:
		return errors.New("terms.cache and terms.ca: of use only with terms.fetch")
	case (t.Serve || t.Fetch) && u.Scheme != "https":
		return fmt.Errorf("registry: %q: terms are served and fetched over https only", c.Registry)
	case t.Serve && !c.has("directory"):
		return errors.New("terms.serve: needs the role directory, which makes the server certificate")
	case t.Serve && t.Listen == "" && !below:
		return fmt.Errorf("terms.serve: %s is not below directory.url: make it %s/registry, or give it an address of its own with terms.listen", c.Registry, c.Directory.URL)
	case t.Serve && t.Listen != "" && below:
		return fmt.Errorf("terms.listen: %s lies below directory.url and is served there: leave listen out", c.Registry)
	case t.Listen != "":
		return listen("terms.listen", t.Listen)
	}
	if t.Fetch {
		setDefault(&t.Cache, "registry-cache")
	}
	return nil
}

// loadTerms gives the terms that are served or fetched, nil for neither, and
// what must run besides.
func loadTerms(ctx context.Context, c *config, logger *slog.Logger) (*registry.Terms, []func(context.Context) error, error) {
	if c.Terms.Serve {
		t, err := registry.BuiltIn(c.scheme)
		return t, nil, err
	}
	if !c.Terms.Fetch {
		return nil, nil, nil
	}
	client := &registry.Client{Scheme: c.scheme, Dir: c.path(c.Terms.Cache), Logger: logger}
	if c.Terms.CA != "" {
		roots, err := identity.ReadCertificates(c.path(c.Terms.CA))
		if err != nil {
			return nil, nil, fmt.Errorf("terms.ca: %w", err)
		}
		client.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil)}}
	}
	t, err := client.Load(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("the permission texts of the registry %s are needed once, and then kept in %s:\n%w", c.Registry, client.Dir, err)
	}
	return t, []func(context.Context) error{client.Run}, nil
}

// words are the permission texts of the terms, nil where ours are to be shown.
func words(t *registry.Terms) map[string]string {
	if t == nil {
		return nil
	}
	return t.PermissionTexts()
}

// termsSites serves the registry: below the directory's address (the handler
// that is given back), or at an address of its own.
func termsSites(ctx context.Context, c *config, front *server.Server) (http.Handler, []site, error) {
	if !c.Terms.Serve {
		return front.Handler(), nil, nil
	}
	handler := front.Terms.Handler()
	if c.Terms.Listen == "" {
		prefix := strings.TrimPrefix(c.scheme.Registry(), c.Directory.URL)
		mine := front.Handler()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Compared as it came: ServeMux would redirect some of what has no place here.
			if p := r.URL.EscapedPath(); p == prefix || strings.HasPrefix(p, prefix+"/") {
				handler.ServeHTTP(w, r)
				return
			}
			mine.ServeHTTP(w, r)
		}), nil, nil
	}
	certs, err := front.ServerCertificates(ctx, host(c.Registry))
	if err != nil {
		return nil, nil, err
	}
	return front.Handler(), []site{{"registry", c.Terms.Listen, c.Registry, handler, identity.ServerTLS(certs.Certificate, nil)}}, nil
}
