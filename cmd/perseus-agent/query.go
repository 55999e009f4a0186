package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/url"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/store"
)

// asking is a command that prints what the store holds: it asks the running
// agent, or opens the store itself when none runs.
type asking[T any] struct {
	path   string // of the local API
	parse  func(url.Values) (agent.Query, error)
	flags  []string // of queryHelp
	stored func(l agent.Ledger, q agent.Query, c *config.Config) iter.Seq2[T, error]
	table  show[T]
	csv    show[T]

	file    func(name string, q agent.Query) iter.Seq2[T, error] // reads rows from a file that may be given; nil: none may
	known   func(c *config.Config, q agent.Query)                // told of the configuration, and what is asked for, before anything is printed; may be nil
	instead func() show[T]                                       // takes the place of --format where it gives something; may be nil
}

// show prints rows.
type show[T any] = func(io.Writer, iter.Seq2[T, error]) error

var queryHelp = map[string]string{
	"meter":   "only this `METER`",
	"measure": "only this `MEASURE`: import, export, reactive-import, reactive-export, gas, generation, heat, cooling or water",
	"from":    "what is at or after this `TIME`",
	"to":      "what is before this `TIME` (default now)",
}

func (a asking[T]) run(in *invocation) error {
	file, format := in.configFlag(), in.formatFlag()
	q := url.Values{}
	for _, name := range a.flags {
		in.Func(name, queryHelp[name], func(v string) error { q.Set(name, v); return nil })
	}
	files := 0
	if a.file != nil {
		files = 1
	}
	if err := in.parse(0, files); err != nil {
		return err
	}
	if err := checkFormat(*format); err != nil {
		return err
	}
	query, err := a.parse(q)
	if err != nil {
		return &problem{usage, err}
	}
	write := map[string]show[T]{"table": a.table, "csv": a.csv, "json": web.WriteJSON[T]}[*format]
	if a.instead != nil {
		if other := a.instead(); other != nil {
			write, *format = other, ""
		}
	}
	if in.NArg() > 0 {
		return write(in.stdout, a.file(in.Arg(0), query))
	}
	cfg, err := config.Load(*file)
	if err != nil {
		return configProblem(err)
	}
	_, named := cfg.Meter(query.Meter)
	named = named || query.Meter == ""
	if a.known != nil && named {
		a.known(cfg, query)
	}
	unknown := wrong("no meter %q in %s, nor anything kept of it", query.Meter, *file)
	d := findDaemon(cfg)
	if d == nil && !named && !remembered(cfg, query.Meter) {
		return unknown
	}
	if d != nil {
		body, err := d.get(context.Background(), a.path+"?"+q.Encode())
		if err != nil {
			return err
		}
		defer body.Close()
		if *format == "json" { // what a newer agent says besides is not lost
			_, err := io.Copy(in.stdout, body)
			return err
		}
		return write(in.stdout, fromJSON[T](body))
	}
	log, _ := newLogger(in.stderr, "warn")
	return withStore(cfg, log, false, func(s *store.Store) error { return write(in.stdout, a.stored(s, query, cfg)) })
}

// fromJSON reads {"data":[...]} as it comes.
func fromJSON[T any](r io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		d := json.NewDecoder(r)
		for range 3 { // {, "data", [
			if _, err := d.Token(); err != nil {
				yield(none, fmt.Errorf("the answer: %w", err))
				return
			}
		}
		for d.More() {
			var x T
			if err := d.Decode(&x); err != nil {
				yield(x, fmt.Errorf("the answer: %w", err))
				return
			}
			if !yield(x, nil) {
				return
			}
		}
		if _, err := d.Token(); err != nil { // ]: else it was cut short
			yield(none, fmt.Errorf("the answer was cut short: %w", err))
		}
	}
}

// remembered reports whether the store holds anything of a meter: one that was taken
// out of the configuration can still be asked for.
func remembered(cfg *config.Config, meter string) (there bool) {
	err := withStore(cfg, slog.New(slog.DiscardHandler), false, func(s *store.Store) error {
		keys, err := s.Keys()
		for _, k := range keys {
			there = there || k.Meter == meter
		}
		return err
	})
	return there && err == nil
}
