package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/store"
)

// daemon is the running agent, asked through its local API.
type daemon struct {
	base   string
	http   *http.Client
	status agent.Status
	raw    []byte
}

// findDaemon asks whether the agent of this configuration runs; nil when not.
// Another program at the address, or the agent of another store, is not it.
func findDaemon(cfg *config.Config) *daemon {
	host, port, err := net.SplitHostPort(cfg.Web.Listen)
	if err != nil {
		return nil
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	d := &daemon{base: "http://" + net.JoinHostPort(host, port), http: &http.Client{Transport: &http.Transport{Proxy: nil}}}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	body, err := d.get(ctx, "/api/v1/status")
	if err != nil {
		return nil
	}
	defer body.Close()
	if d.raw, err = io.ReadAll(io.LimitReader(body, 64<<20)); err != nil || json.Unmarshal(d.raw, &d.status) != nil {
		return nil
	}
	if !samePath(d.status.Store.Path, cfg.Store.Path) {
		return nil
	}
	return d
}

func samePath(a, b string) bool {
	x, err1 := filepath.Abs(a)
	y, err2 := filepath.Abs(b)
	if err1 == nil && err2 == nil && x == y {
		return true
	}
	fa, err1 := os.Stat(a)
	fb, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(fa, fb)
}

func (d *daemon) get(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
	if err != nil {
		return nil, err
	}
	return d.do(req)
}

// post sends a file.
func (d *daemon) post(ctx context.Context, path string, q url.Values, data []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+path+"?"+q.Encode(), bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	return d.do(req)
}

func (d *daemon) do(req *http.Request) (io.ReadCloser, error) {
	res, err := d.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the running agent: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	var e struct {
		Description string `json:"error_description"`
	}
	if json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&e) == nil && e.Description != "" {
		return nil, errors.New(e.Description)
	}
	return nil, fmt.Errorf("the running agent answered %s", res.Status)
}

// withStore opens the store for a command while no agent runs. One that only
// looks (not create) leaves a damaged store to the agent, which tells of it.
func withStore(cfg *config.Config, log *slog.Logger, create bool, f func(*store.Store) error) error {
	if _, err := os.Stat(cfg.Store.Path); err != nil && !create {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("there is no store at %s yet: the agent has not run with this configuration", cfg.Store.Path)
		}
		return fmt.Errorf("the store cannot be opened: %w", err)
	}
	s, r, err := openStore(cfg, log, !create)
	if errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("%w: the agent sets it aside and begins a new one when it starts", err)
	}
	if err != nil {
		return err
	}
	if r.SetAside != "" {
		log.Error("the store was damaged and is set aside: a new one is begun", "set_aside", r.SetAside, "reason", r.Reason)
	}
	return errors.Join(f(s), s.Close())
}
