package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/registry"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/directory/web"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// openDirectory opens the database and the directory upon it.
func openDirectory(ctx context.Context, c *config) (*database.DB, *directory.Service, error) {
	authorities, err := ca.OpenAuthorities(c.path(c.Directory.Authorities), c.issuerKeys())
	if err != nil {
		return nil, nil, fmt.Errorf("%w (perseus-central init makes authorities for a first try, perseus-central ceremony those of a trust framework)", err)
	}
	db, err := database.Open(c.Database)
	if err != nil {
		return nil, nil, err
	}
	dir, err := directory.New(directory.Config{
		DB: db.DB, Migrate: func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) },
		BaseURL: c.Directory.URL, Authorities: authorities, Scheme: c.scheme, RelayURL: c.Relay.Server, StatusURL: c.Directory.StatusURL, Bounds: c.Directory.Bounds,
	})
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return db, dir, nil
}

// openServer makes what serves the directory, with the registry's terms (nil: none
// are known).
func openServer(c *config, dir *directory.Service, terms *registry.Terms) (*server.Server, error) {
	return server.New(dir, server.Config{Terms: terms, ManagePath: web.Prefix + "/", ACME: server.ACMEConfig{Validator: c.acmeValidator()}})
}

// The files of the relay's identity folder.
const (
	signingCert = "signing.pem"
	signingKey  = "signing.key"
	sealKey     = "seal.key"
	clientCert  = "client.pem"
	clientKey   = "client.key"
	serverRoot  = "server-root.pem"
	clientRoot  = "client-root.pem"
	signingRoot = "signing-root.pem"
)

// relayApplication is the id of the relay's own application in the directory.
const relayApplication = "relay"

// initialise makes what is missing and leaves alone what is there.
func initialise(ctx context.Context, c *config, out io.Writer) error {
	ctx = audit.WithActor(ctx, operator())
	if !c.has("directory") {
		return fmt.Errorf("%w: init makes a directory; a relay alone gets its identity from its directory's operator (docs/operator.md)", errUsage)
	}
	folder := c.path(c.Directory.Authorities)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		if _, err := ca.CreateAuthorities(folder, c.Directory.Operator, time.Now(), c.statusURL()); err != nil {
			return err
		}
		fmt.Fprintf(out, "made the certificate authorities in %s: move its folder offline/ to a safe\n", folder)
	}
	if err := makeAccountsKey(c, out); err != nil {
		return err
	}
	db, dir, err := openDirectory(ctx, c)
	if err != nil {
		return err
	}
	defer db.Close()
	if !c.has("relay") {
		return nil
	}
	return initRelay(ctx, c, dir)
}

// initRelay enters the relay as a member with an application, EDP and CAP in
// one, and gives it its signing identity.
func initRelay(ctx context.Context, c *config, dir *directory.Service) error {
	roles := roleFlag{"edp", "cap"}.urls(c)
	_, err := dir.AddMember(ctx, directory.Member{ID: c.Relay.Member, LegalName: c.Relay.Organisation, Roles: roles})
	if err != nil && !errors.Is(err, fault.ErrExists) {
		return err
	}
	_, err = dir.AddApplication(ctx, directory.Application{ID: relayApplication, Member: c.Relay.Member, Name: c.Relay.Organisation + " relay", Roles: roles,
		MessageDelivery: c.Relay.Server + "/messages"})
	if err != nil && !errors.Is(err, fault.ErrExists) {
		return err
	}
	for _, s := range []directory.DataService{
		{ID: relayApplication + "-consumption", Title: "Energy consumption data", ConformsTo: c.scheme.StandardConsumption()},
		{ID: relayApplication + "-emissions", Title: "Emissions data", ConformsTo: c.scheme.StandardEmissions()},
	} {
		s.Application, s.Endpoint, s.OAuthIssuer = relayApplication, c.Relay.Server, c.Relay.Issuer
		if _, err := dir.AddDataService(ctx, s); err != nil && !errors.Is(err, fault.ErrExists) {
			return err
		}
	}
	folder := c.path(c.Relay.Identity)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for h, file := range map[ca.Hierarchy]string{ca.Client: clientRoot, ca.Signing: signingRoot, ca.Server: serverRoot} {
		b, err := os.ReadFile(c.path(filepath.Join(c.Directory.Authorities, string(h), "root.pem")))
		if err != nil {
			return err
		}
		if err := identity.WriteFile(filepath.Join(folder, file), b, 0o644); err != nil {
			return err
		}
	}
	if absent(folder, sealKey) {
		key := make([]byte, 32)
		rand.Read(key) // never fails (crypto/rand)
		if err := identity.WriteFile(filepath.Join(folder, sealKey), key, 0o600); err != nil {
			return err
		}
	}
	for _, x := range []struct {
		issue     func(context.Context, string, []byte) (directory.Certificate, error)
		cert, key string
	}{{dir.IssueSigning, signingCert, signingKey}, {dir.IssueClient, clientCert, clientKey}} {
		if !absent(folder, x.cert) {
			continue
		}
		if _, err := issueTo(ctx, x.issue, relayApplication, filepath.Join(folder, x.key), filepath.Join(folder, x.cert)); err != nil {
			return err
		}
	}
	return nil
}

func absent(folder, file string) bool {
	_, err := os.Stat(filepath.Join(folder, file))
	return errors.Is(err, fs.ErrNotExist)
}
