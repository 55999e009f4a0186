package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
)

// relaySites makes the relay's two addresses: one for people, which asks nobody
// for a certificate, and one for programs, which demands one.
func relaySites(ctx context.Context, c *config, db *database.DB, dir *directory.Service, words map[string]string, logger *slog.Logger) ([]site, []func(context.Context) error, error) {
	folder := c.path(c.Relay.Identity)
	chain, err := identity.ReadCertificates(filepath.Join(folder, signingCert))
	if err != nil {
		return nil, nil, fmt.Errorf("%w (perseus-central init makes it)", err)
	}
	key, err := identity.ReadKey(filepath.Join(folder, signingKey))
	if err != nil {
		return nil, nil, err
	}
	seal, err := os.ReadFile(filepath.Join(folder, sealKey))
	if err != nil {
		return nil, nil, err
	}
	signingRoots, err := identity.ReadCertificates(filepath.Join(folder, signingRoot))
	if err != nil {
		return nil, nil, err
	}
	clientRoots, err := identity.ReadCertificates(filepath.Join(folder, clientRoot))
	if err != nil {
		return nil, nil, err
	}
	revocations, err := revocationLists(c, dir, logger)
	if err != nil {
		return nil, nil, err
	}
	if err := revocations.Refresh(ctx); err != nil {
		logger.Warn("revocation lists: not yet to be had, will try again", "error", err)
	}
	messages, err := messageDelivery(c, dir, logger)
	if err != nil {
		return nil, nil, err
	}
	r, err := relay.New(ctx, relay.Config{
		DB: db, Scheme: c.scheme, Issuer: c.Relay.Issuer, Server: c.Relay.Server, Organisation: c.Relay.Organisation, Members: c.Relay.Gateways,
		SigningRoots: identity.Pool(signingRoots...), Signer: key, Chain: chain, SealKey: seal, History: time.Duration(c.Relay.History), Retention: time.Duration(c.Relay.Retention), KeepExpired: time.Duration(c.Relay.KeepExpired),
		Carbon:  neso.Config{BaseURL: c.Relay.Carbon.URL, Interval: time.Duration(float64(time.Second) / c.Relay.Carbon.PerSecond)},
		Revoked: revocations.Revoked, Words: words, Logger: logger,
		Messages: messages, WithdrawalSubject: c.Relay.Messages.Subject, KeepEnded: time.Duration(c.Relay.KeepRecords), Privacy: c.Relay.Privacy,
	})
	if err != nil {
		return nil, nil, err
	}
	cert, programsCert, err := serverCertificates(ctx, c, dir)
	if err != nil {
		return nil, nil, err
	}
	pages, programs := http.NewServeMux(), http.NewServeMux()
	r.RegisterBrowser(pages)
	r.RegisterServer(programs)
	for _, m := range []*http.ServeMux{pages, programs} {
		m.HandleFunc("GET /healthz", health(db))
	}
	background := []func(context.Context) error{r.Run, revocations.Run}
	if c.Relay.Metrics != "" {
		metrics, err := metricsServer(c.Relay.Metrics, db, logger)
		if err != nil {
			return nil, nil, err
		}
		background = append(background, metrics)
	}
	return []site{
		{"permission", c.Relay.IssuerListen, c.Relay.Issuer, pages, identity.ServerTLS(cert, nil)},
		{"relay", c.Relay.ServerListen, c.Relay.Server, whenCurrent(revocations, programs), identity.ServerTLS(programsCert, identity.Pool(clientRoots...))},
	}, background, nil
}

// revoking is what whenCurrent asks; *identity.Revocations is one.
type revoking interface {
	Current() error
	RevokedIssuer(chains [][]*x509.Certificate) bool
}

// whenCurrent answers programs only while it can be told whether their
// certificates are revoked, and none whose certificate is of an issuer that its
// root has revoked: the thief of an issuer's key makes whatever certificate he
// likes, which no list of that issuer names. The health check is for those who
// watch over this.
func whenCurrent(lists revoking, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && lists.RevokedIssuer(r.TLS.VerifiedChains) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("WWW-Authenticate", `Mutual realm="perseus"`)
			w.WriteHeader(http.StatusUnauthorized)
			json.NewEncoder(w).Encode(map[string]string{"error": "invalid_client", "error_description": "the issuer of the client certificate is revoked: get a new certificate from the directory"})
			return
		}
		if err := lists.Current(); err != nil && r.URL.Path != "/healthz" {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Retry-After", "10")
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(map[string]string{"error": "temporarily_unavailable", "error_description": err.Error() + ": no certificate can be accepted until then"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serverCertificates gives the certificate for the pages, which browsers must
// trust, and the one for programs.
func serverCertificates(ctx context.Context, c *config, dir *directory.Service) (pages, programs func() (*tls.Certificate, error), err error) {
	if dir != nil {
		hosts := []string{host(c.Relay.Server)}
		if issuer := host(c.Relay.Issuer); !c.Relay.TLS.given() && issuer != hosts[0] {
			hosts = append([]string{issuer}, hosts...)
		}
		certs, err := dir.ServerCertificates(ctx, hosts...)
		if err != nil {
			return nil, nil, err
		}
		if programs = certs.Certificate; !c.Relay.TLS.given() {
			return programs, programs, nil
		}
	}
	if pages, err = certificateFiles(c, "relay.tls", c.Relay.TLS); programs == nil {
		programs = pages
	}
	return pages, programs, err
}

// certificateFiles gives the certificate that lies in two files. They are read
// anew for each connection, since they may have been renewed.
func certificateFiles(c *config, key string, t tlsConfig) (func() (*tls.Certificate, error), error) {
	pair := func() (*tls.Certificate, error) {
		p, err := identity.KeyPair(c.path(t.Certificate), c.path(t.Key))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if k, ok := p.PrivateKey.(*ecdsa.PrivateKey); !ok || !k.PublicKey.Equal(p.Leaf.PublicKey) {
			return nil, fmt.Errorf("%s: %s is not the key of the first certificate in %s", key, t.Key, t.Certificate)
		}
		return p, nil
	}
	_, err := pair()
	return pair, err
}

// revocationLists follows the lists of the client and the signing hierarchy:
// at the directory beside it, or by their URLs.
func revocationLists(c *config, dir *directory.Service, logger *slog.Logger) (*identity.Revocations, error) {
	var sources []identity.CRLSource
	client, err := directoryClient(c)
	if err != nil {
		return nil, err
	}
	for _, h := range []ca.Hierarchy{ca.Client, ca.Signing} {
		s := identity.CRLSource{Name: string(h)}
		if dir != nil {
			s.Issuer = dir.Authorities.Of(h).Issuer
			s.Fetch = func(ctx context.Context) ([]byte, error) {
				list, err := dir.CRL(ctx, h)
				return list.DER, err
			}
		} else {
			issuers, err := identity.ReadCertificates(filepath.Join(c.path(c.Relay.Identity), string(h)+"-issuer.pem"))
			if err != nil {
				return nil, err
			}
			s.Issuer = issuers[0]
			s.Fetch = identity.FetchCRL(client, c.Directory.URL+"/crl/"+string(h)+".crl")
		}
		sources = append(sources, s)
		if s, err = issuersList(c, dir, h, client); err != nil {
			return nil, err
		}
		if s.Fetch != nil {
			sources = append(sources, s)
		}
	}
	return identity.NewRevocations(identity.RevocationsConfig{Sources: sources, Interval: time.Minute, Logger: logger})
}

// issuersList is a root's list of revoked issuers; without Fetch where there is
// none.
func issuersList(c *config, dir *directory.Service, h ca.Hierarchy, client *http.Client) (identity.CRLSource, error) {
	s := identity.CRLSource{Name: "revoked " + string(h) + " issuers", Issuers: true}
	if dir != nil {
		a := dir.Authorities.Of(h)
		if a.RootCRL != nil {
			s.Issuer, s.Fetch = a.Root, func(context.Context) ([]byte, error) { return a.RootCRL.Raw, nil }
		}
		return s, nil
	}
	roots, err := identity.ReadCertificates(filepath.Join(c.path(c.Relay.Identity), string(h)+"-root.pem"))
	if err != nil {
		return s, err
	}
	s.Issuer, s.Fetch = roots[0], identity.FetchCRL(client, c.Directory.URL+"/crl/"+string(h)+"-root.crl")
	return s, nil
}

func health(db *database.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := db.PingContext(ctx); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, `{"status":"database unreachable"}`)
			return
		}
		fmt.Fprintln(w, `{"status":"ok"}`)
	}
}
