package main

import (
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// databaseCommands are the commands that need the database and nothing else: no
// authorities, no keys. An auditor can run them on a restored copy.
var databaseCommands = map[string]func(*flag.FlagSet) databaseFunc{
	"audit head":   withLog(auditHead),
	"audit list":   withLog(auditList),
	"audit verify": withLog(auditVerify),
	"backup":       backup,
	"restore":      restore,

	"deletion list": deletionList,
}

type databaseFunc func(ctx context.Context, db *database.DB, out io.Writer) error

func onDatabase(ctx context.Context, c *config, stdout io.Writer, do databaseFunc) error {
	db, err := database.Open(c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	return do(ctx, db, stdout)
}

// withLog makes sure that there is an audit log.
func withLog(command func(*flag.FlagSet) databaseFunc) func(*flag.FlagSet) databaseFunc {
	return func(f *flag.FlagSet) databaseFunc {
		do := command(f)
		return func(ctx context.Context, db *database.DB, out io.Writer) error {
			tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
			if err != nil {
				return err
			}
			there, err := hasDirectory(ctx, tx, db.Dialect)
			tx.Rollback() // it only read
			if err != nil {
				return err
			}
			if !there {
				return errors.New("this database has no audit log: it is a relay's alone, or older than the log (perseus-central init brings it up to date)")
			}
			return do(ctx, db, out)
		}
	}
}

func auditHead(*flag.FlagSet) databaseFunc {
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		h, err := audit.HeadOf(ctx, db)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, h)
		return err
	}
}

// headFlag collects --head 12-ab.. --head 90-cd..
type headFlag []audit.Head

func (h *headFlag) String() string { return "" }

func (h *headFlag) Set(s string) error {
	x, err := audit.ParseHead(s)
	*h = append(*h, x)
	return err
}

func auditVerify(f *flag.FlagSet) databaseFunc {
	var noted headFlag
	f.Var(&noted, "head", "`head` that was noted earlier; may be repeated")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		h, err := audit.Verify(ctx, db, noted...)
		if errors.Is(err, audit.ErrBroken) {
			return fmt.Errorf("%w. Keep this database as it is, and compare it with a backup (docs/operator.md, The audit log)", err)
		} else if err != nil {
			return err
		}
		fmt.Fprintf(out, "The audit log is whole: %d entries, each follows the one before.\n", h.Seq)
		if len(noted) == 0 {
			fmt.Fprintln(out, "That its end was not cut off shows only against a head that was noted earlier: --head")
		} else {
			fmt.Fprintf(out, "The %d noted heads are in it.\n", len(noted))
		}
		_, err = fmt.Fprintf(out, "Note its head now, away from this machine:\n%s\n", h)
		return err
	}
}

// timeFlag reads a day or a moment.
type timeFlag struct{ *time.Time }

func (t timeFlag) String() string { return "" }

func (t timeFlag) Set(s string) (err error) {
	if *t.Time, err = time.Parse(time.DateOnly, s); err != nil {
		*t.Time, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		return errors.New("use a day, 2026-01-31, or a moment, 2026-01-31T12:00:00Z")
	}
	return nil
}

func auditList(f *flag.FlagSet) databaseFunc {
	var x audit.Filter
	f.StringVar(&x.Action, "action", "", "only this `action`, such as certificate.revoke, or all of a kind: certificate.")
	f.StringVar(&x.Subject, "subject", "", "only what was done to `kind/id`")
	f.StringVar(&x.Actor, "actor", "", "only what `who` did, such as person:dana@example.org")
	f.StringVar(&x.Member, "member", "", "only what concerns the member `id`")
	f.Var(timeFlag{&x.Since}, "since", "from this `time` on (UTC)")
	f.Var(timeFlag{&x.Until}, "until", "before this `time` (UTC)")
	f.Int64Var(&x.After, "after", 0, "only entries after `number`")
	f.IntVar(&x.Limit, "limit", 100, "at most so `many`, the newest")
	format := f.String("format", "table", "table, json or csv")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		print, ok := map[string]func(io.Writer, []audit.Entry) error{"table": entriesTable, "json": entriesJSON, "csv": entriesCSV}[*format]
		if !ok || x.Limit < 1 {
			return fmt.Errorf("%w: --format is table, json or csv, and --limit at least 1", errUsage)
		}
		x.Newest = x.After == 0 // with --after one pages forward
		es, err := audit.List(ctx, db, x)
		if err != nil {
			return err
		}
		if x.Newest {
			for i, j := 0, len(es)-1; i < j; i, j = i+1, j-1 {
				es[i], es[j] = es[j], es[i]
			}
		}
		return print(out, es)
	}
}

func entriesTable(out io.Writer, es []audit.Entry) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tTIME (UTC)\tWHO\tDID\tTO\tDETAIL")
	for _, e := range es {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Seq, e.At.Format("2006-01-02 15:04:05"), e.Actor, e.Action, e.Subject, short(e.Detail))
	}
	return w.Flush()
}

// short keeps a row to a width that people read; json and csv have it all.
func short(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:99]) + "…"
	}
	return s
}

func entriesJSON(out io.Writer, es []audit.Entry) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(map[string]any{"data": append([]audit.Entry{}, es...)})
}

func entriesCSV(out io.Writer, es []audit.Entry) error {
	w := csv.NewWriter(out)
	w.Write([]string{"seq", "at", "actor", "action", "subject", "member", "detail", "before", "after", "prev", "hash"})
	for _, e := range es {
		row := []string{strconv.FormatInt(e.Seq, 10), e.At.Format(time.RFC3339), e.Actor, e.Action, e.Subject, e.Member, e.Detail, e.Before, e.After, e.Prev, e.Hash}
		for i, v := range row { // a spreadsheet must not take a name for a formula
			if v != "" && strings.ContainsRune("=+-@", rune(v[0])) {
				row[i] = "'" + v
			}
		}
		w.Write(row)
	}
	w.Flush()
	return w.Error()
}
