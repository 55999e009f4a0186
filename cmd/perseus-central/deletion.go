package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
)

// deletionList prints the log of deletions: what was deleted of the gateways'
// half-hours, when and why, and, as JSON, the relay's signed word for each.
func deletionList(f *flag.FlagSet) databaseFunc {
	gateway := f.String("gateway", "", "`URL` of one gateway; all if it is not given")
	format := f.String("format", "table", "table or json")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		if *format != "table" && *format != "json" {
			return fmt.Errorf("%w: --format %q: use table or json", errUsage, *format)
		}
		all, err := ingest.New(ingest.Config{DB: db}).Deletions(ctx, *gateway)
		if err != nil {
			return err
		}
		if *format == "json" {
			return deletionsJSON(out, all)
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "STARTED\tFINISHED\tREASON\tHALF-HOURS\tBATCHES\tOF\tGATEWAY")
		for _, d := range all {
			finished, of := "broken off", "-"
			if !d.Finished.IsZero() {
				finished = day(d.Finished)
			}
			if !d.First.IsZero() {
				of = d.First.Format(time.DateOnly) + " to " + d.Last.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", day(d.Started), finished, d.Reason, d.HalfHours, d.Bodies, of, d.Gateway)
		}
		return w.Flush()
	}
}

func day(t time.Time) string { return t.Format("2006-01-02T15:04Z") }

func deletionsJSON(out io.Writer, all []ingest.Deletion) error {
	type one struct {
		ID        string          `json:"id"`
		Gateway   string          `json:"gateway"`
		Reason    ingest.Reason   `json:"reason"`
		Started   time.Time       `json:"started"`
		Finished  time.Time       `json:"finished,omitzero"`
		Collected time.Time       `json:"collectedBefore,omitzero"`
		HalfHours int64           `json:"halfHours"`
		Batches   int64           `json:"batches"`
		First     time.Time       `json:"first,omitzero"`
		Last      time.Time       `json:"last,omitzero"`
		Record    json.RawMessage `json:"provenance,omitempty"`
	}
	list := []one{}
	for _, d := range all {
		list = append(list, one{d.ID, d.Gateway, d.Reason, d.Started, d.Finished, d.Collected, d.HalfHours, d.Bodies, d.First, d.Last, d.Record})
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(list)
}
