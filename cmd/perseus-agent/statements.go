package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/energy"
)

var statementsCommand = command{
	name: "statements", args: "[FILE]", short: "print or verify the statements of baseline",
	long: `Prints the statements of baseline, in the order in which they were made: the readings from which energy is counted, each with the
hash of the one before it. --verify checks instead that none is changed or missing, register by register.
FILE is what --format json printed before, on this or another gateway; it is read in place of the store, without a configuration.
Asks the running agent, or opens the store itself when none runs. See docs/metering.md.`,
	run: func(in *invocation) error {
		verify := in.Bool("verify", false, "check the chain of hashes instead of printing")
		return asking[web.Record]{
			path: "/api/v1/statements", flags: []string{"meter", "measure"}, table: statementsTable, csv: statementsCSV,
			parse: func(v url.Values) (agent.Query, error) { return web.ParseRegister(v, "meter", "measure") },
			stored: func(l agent.Ledger, q agent.Query, _ *config.Config) iter.Seq2[web.Record, error] {
				return web.Statements(l, q)
			},
			file: readStatements,
			instead: func() show[web.Record] {
				if *verify {
					return verifyStatements
				}
				return nil
			},
		}.run(in)
	},
}

// readStatements reads what --format json printed. Whoever laid it out anew in
// between did no harm.
func readStatements(name string, q agent.Query) iter.Seq2[web.Record, error] {
	return func(yield func(web.Record, error) bool) {
		f, err := os.Open(name)
		if err != nil {
			yield(web.Record{}, err)
			return
		}
		defer f.Close()
		for r, err := range fromJSON[web.Record](f) {
			if err != nil {
				yield(r, fmt.Errorf("%s is not what perseus-agent statements --format json prints: %w", name, err))
				return
			}
			var b bytes.Buffer
			if err := json.Compact(&b, r.Record); err == nil {
				r.Record = b.Bytes()
			}
			if s, err := energy.ParseStatement(r.Record); err == nil && (q.Meter != "" && q.Meter != s.Meter || q.Measure != 0 && q.Measure != s.Measure) {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// verifyStatements checks the chains, and says of each register what there is.
func verifyStatements(w io.Writer, rows iter.Seq2[web.Record, error]) error {
	type chain struct {
		key   energy.Key
		n     int
		words string
		last  string
	}
	var all [][]byte
	var chains []chain
	for r, err := range rows {
		if err != nil {
			return err
		}
		all = append(all, r.Record)
		if r.Error != "" {
			return fmt.Errorf("the chain is broken: statement %d: %s", len(all), r.Error)
		}
		if sum := energy.StatementHash(r.Record); r.SHA256 != sum {
			return fmt.Errorf("statement %d does not have the hash that stands beside it: it was changed", len(all))
		}
		s, err := energy.ParseStatement(r.Record)
		if err != nil {
			continue // VerifyChain names it
		}
		k := energy.Key{Meter: s.Meter, Measure: s.Measure}
		i := slices.IndexFunc(chains, func(c chain) bool { return c.key == k })
		if i < 0 {
			i, chains = len(chains), append(chains, chain{key: k, words: "whole, from the beginning"})
			if s.Previous != "" {
				chains[i].words = "whole, from " + stamp(s.At()) + " on; earlier ones are not here"
			}
		}
		chains[i].n, chains[i].last = chains[i].n+1, r.SHA256
	}
	if err := energy.VerifyChain(all); err != nil {
		return fmt.Errorf("the chain is broken: %w", err)
	}
	if len(all) == 0 {
		return errors.New("there is no statement to verify")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "METER\tMEASURE\tSTATEMENTS\tCHAIN\tLAST (SHA-256)")
	for _, c := range chains {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", c.key.Meter, c.key.Measure, c.n, c.words, c.last)
	}
	return t.Flush()
}

func statementsTable(w io.Writer, rows iter.Seq2[web.Record, error]) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AT (UTC)\tMETER\tMEASURE\tSTATEMENT\tSHA-256\tWHAT")
	n := 0
	for r, err := range rows {
		if err != nil {
			t.Flush()
			return err
		}
		n++
		if r.Error != "" {
			fmt.Fprintf(t, "-\t-\t-\t-\t-\t%s\n", r.Error)
			continue
		}
		s, err := energy.ParseStatement(r.Record)
		if err != nil {
			fmt.Fprintf(t, "-\t-\t-\t-\t%.12s\t%v\n", r.SHA256, err)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.12s\t%s\n", stamp(s.At()), s.Meter, s.Measure, s.Kind, r.SHA256, plain(web.StatementWords(s)))
	}
	if n == 0 {
		fmt.Fprintln(t, "(no statements yet)")
	}
	return t.Flush()
}

// plain has the spaces that any terminal can show.
func plain(s string) string { return strings.ReplaceAll(s, "\u202f", " ") }

func statementsCSV(w io.Writer, rows iter.Seq2[web.Record, error]) error {
	c := csv.NewWriter(w)
	c.Write([]string{"meter", "measure", "statement", "closing_read_at", "closing", "opening_read_at", "opening", "unit", "gap", "serial", "register", "config", "sha256", "previous"})
	for r, err := range rows {
		if err != nil {
			c.Flush()
			return err
		}
		s, err := energy.ParseStatement(r.Record)
		if r.Error != "" || err != nil {
			c.Flush()
			return errors.Join(errors.New("a statement cannot be read: try --format json"), err)
		}
		closedAt, closing := readCells(s.Closing)
		openedAt, opening := readCells(s.Opening)
		c.Write([]string{s.Meter, s.Measure.String(), string(s.Kind), closedAt, closing, openedAt, opening, s.Unit, string(s.Gap), s.Serial, s.Register, s.Config, r.SHA256, s.Previous})
	}
	c.Flush()
	return c.Error()
}

func readCells(r *energy.Reading) (at, value string) {
	if r == nil {
		return "", ""
	}
	return r.ReadAt.Format("2006-01-02T15:04:05.999Z07:00"), strconv.FormatInt(r.Value, 10)
}
