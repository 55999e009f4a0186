package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/expiry"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// site is one address that the program listens on.
type site struct {
	name    string
	listen  string
	url     string
	handler http.Handler
	tls     *tls.Config // nil: plain HTTP, for what is signed and public
}

// serve runs the roles until ctx ends, and then lets requests finish.
func serve(ctx context.Context, c *config, stderr io.Writer) error {
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	slog.SetDefault(logger)
	var (
		db  *database.DB
		dir *directory.Service
		err error
	)
	if c.has("directory") {
		db, dir, err = openDirectory(ctx, c)
	} else {
		db, err = database.Open(c.Database)
	}
	if err != nil {
		return err
	}
	defer db.Close()

	terms, background, err := loadTerms(ctx, c, logger)
	if err != nil {
		return err
	}
	var sites []site
	if dir != nil {
		front, err := openServer(c, dir, terms)
		if err != nil {
			return err
		}
		handler, more, err := termsSites(ctx, c, front)
		if err != nil {
			return err
		}
		sites = append(sites, more...)
		cert, err := directoryCertificate(ctx, c, dir)
		if err != nil {
			return err
		}
		handler, sweep, err := manage(c, dir, handler)
		if err != nil {
			return err
		}
		background = append(background, sweep, dir.KeepNoting)
		sites = append(sites, site{"directory", c.Directory.Listen, c.Directory.URL, handler, identity.AskingTLS(cert, dir.Authorities.Client.Pool())})
		if c.Directory.StatusListen != "" {
			sites = append(sites, site{"status", c.Directory.StatusListen, c.Directory.StatusURL, front.StatusHandler(), nil})
		}
		if c.Directory.Warnings.configured() {
			ways, err := c.warnings()
			if err != nil {
				return err
			}
			background = append(background, func(ctx context.Context) error { return expiry.New(dir).Keep(ctx, ways) })
		}
		if folder := c.path(c.Directory.Authorities); ca.RootKeysHere(folder) {
			logger.Warn("the roots' keys are on this machine: move the folder offline to a medium that is locked away", "folder", folder)
		}
	}
	if c.has("relay") {
		more, run, err := relaySites(ctx, c, db, dir, words(terms), logger)
		if err != nil {
			return err
		}
		sites, background = append(sites, more...), append(background, run...)
	}
	return listenAll(ctx, sites, background, logger)
}

// directoryCertificate gives what the directory shows: a public authority's
// where one is configured, else its own.
func directoryCertificate(ctx context.Context, c *config, dir *directory.Service) (func() (*tls.Certificate, error), error) {
	if c.Directory.TLS.given() {
		return certificateFiles(c, "directory.tls", c.Directory.TLS)
	}
	certs, err := dir.ServerCertificates(ctx, host(c.Directory.URL))
	if err != nil {
		return nil, err
	}
	return certs.Certificate, nil
}

// listenAll opens every address before it serves any, so that a taken port is
// an error at the start and not a half-working program.
func listenAll(ctx context.Context, sites []site, background []func(context.Context) error, logger *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var servers []*http.Server
	var wg sync.WaitGroup
	listeners := make([]net.Listener, len(sites))
	for i, s := range sites {
		l, err := net.Listen("tcp", s.listen)
		if err != nil {
			for _, open := range listeners[:i] {
				open.Close()
			}
			return fmt.Errorf("%s: cannot listen at %s: %w", s.name, s.listen, err)
		}
		listeners[i] = l
	}
	for i, s := range sites {
		srv := s.server(ctx, logger)
		servers = append(servers, srv)
		wg.Go(func() {
			logger.Info("listening", "role", s.name, "address", listeners[i].Addr().String(), "url", s.url)
			serve := func() error { return srv.ServeTLS(listeners[i], "", "") }
			if s.tls == nil {
				serve = func() error { return srv.Serve(listeners[i]) }
			}
			if err := serve(); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("%s: %w", s.name, err))
			}
		})
	}
	for _, run := range background {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	logger.Info("stopping")
	finish, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	for _, srv := range servers {
		if srv.Shutdown(finish) != nil {
			srv.Close()
		}
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// server is the site's server. A client that is slow, whether to shake hands,
// to ask, to send a body, to read or to come back, is let go of; slow_test.go
// tries each.
func (s site) server(ctx context.Context, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: s.handler, TLSConfig: s.tls, ErrorLog: log.New(quietTLS{logger}, "", 0), BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// quietTLS keeps failed handshakes (port scanners, browsers that do not trust
// the root) out of the log of a normal day.
type quietTLS struct{ *slog.Logger }

func (q quietTLS) Write(b []byte) (int, error) {
	q.Debug("http server", "said", string(b))
	return len(b), nil
}
