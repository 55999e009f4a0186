package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// The operator's view of permissions and of the messages about their
// withdrawal. They work beside a running relay, and on a restored copy.
func init() {
	databaseCommands["permissions list"] = permissionsList
	databaseCommands["permissions show"] = permissionsShow
	databaseCommands["permissions withdraw"] = permissionsWithdraw
	databaseCommands["permissions rely"] = permissionsRely
	databaseCommands["permissions code"] = permissionsCode
	databaseCommands["permissions new-tenant"] = permissionsNewTenant
	databaseCommands["messages list"] = messagesList
	databaseCommands["messages retry"] = messagesRetry
}

// asJSON prints what a command found.
func asJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// safe keeps names from others from steering the terminal.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

func minute(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02 15:04")
}

func permissionsList(f *flag.FlagSet) databaseFunc {
	var x permission.Filter
	f.StringVar(&x.Gateway, "gateway", "", "only those of the gateway with the `URL`")
	f.StringVar(&x.Client, "client", "", "only those of the application with the `URL`")
	f.StringVar(&x.State, "state", "", "only `those` that are live, agreed (and not in use), ended or withdrawn")
	f.StringVar(&x.After, "after", "", "those after the permission `ID`, for the next page")
	f.IntVar(&x.Limit, "limit", 100, "at most so `many`")
	format := f.String("format", "table", "table or json")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		states := map[string]string{"": "", "live": permission.StateLive, "agreed": permission.StateUnused, "ended": permission.StateEnded, "withdrawn": permission.StateWithdrawn}
		state, ok := states[x.State]
		if !ok || x.Limit < 1 || (*format != "table" && *format != "json") {
			return fmt.Errorf("%w: --state is live, agreed, ended or withdrawn; --format table or json; --limit at least 1", errUsage)
		}
		x.State = state
		ps, err := permission.List(ctx, db, time.Now(), x)
		if err != nil {
			return err
		}
		if *format == "json" {
			return asJSON(out, map[string]any{"data": append([]permission.Summary{}, ps...)})
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tSITE\tCLIENT\tGRANTED\tEXPIRES\tREVOKED")
		for _, p := range ps {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.State, safe(p.Site), safe(p.ClientName), minute(p.Granted), minute(p.Expires), minute(p.Revoked))
		}
		return w.Flush()
	}
}

func permissionsShow(f *flag.FlagSet) databaseFunc {
	id := f.String("id", "", "`ID` of the permission")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		d, ok, err := permission.Show(ctx, db, time.Now(), *id)
		if err == nil && !ok {
			err = fmt.Errorf("there is no permission %q: perseus-central permissions list shows them", *id)
		}
		if err != nil {
			return err
		}
		return asJSON(out, d)
	}
}

func permissionsWithdraw(f *flag.FlagSet) databaseFunc {
	id := f.String("id", "", "`ID` of the permission that the business asked to withdraw")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		ended, err := permission.Withdraw(ctx, db, time.Now(), *id)
		if err == nil && len(ended) == 0 {
			err = fmt.Errorf("there is no permission %q, or it had ended already", *id)
		}
		if err != nil {
			return err
		}
		return asJSON(out, map[string]any{"withdrawn": ended})
	}
}

func permissionsRely(f *flag.FlagSet) databaseFunc {
	id := f.String("id", "", "`ID` of the permission")
	issuer := f.String("issuer", "", "`URL` of the application that may withdraw the other one: the provider's issuer")
	token := f.String("token-file", "", "`file` with the refresh token that the other provider gave; - reads it from the input")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		read := os.ReadFile
		if *token == "-" {
			read = func(string) ([]byte, error) { return io.ReadAll(io.LimitReader(os.Stdin, 8<<10)) }
		}
		b, err := read(*token)
		if err != nil {
			return fmt.Errorf("%w: --token-file: %w", errUsage, err)
		}
		if err := permission.Hold(ctx, db, time.Now(), *id, *issuer, strings.TrimSpace(string(b))); err != nil {
			return err
		}
		return asJSON(out, map[string]string{"permission": *id, "reliesOnIssuer": *issuer})
	}
}

func permissionsCode(f *flag.FlagSet) databaseFunc {
	gateway := f.String("gateway", "", "`URL` of the site's gateway")
	days := f.Int("days", 90, "for how many `days` the code works")
	note := f.String("note", "", "`where` it will be printed")
	forget := f.Bool("forget", false, "end every printed code of the gateway, make none")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		if *gateway == "" {
			return fmt.Errorf("%w: give --gateway", errUsage)
		}
		if *forget {
			n, err := permission.ForgetCodes(ctx, db, *gateway)
			if err != nil {
				return err
			}
			return asJSON(out, map[string]int64{"forgotten": n})
		}
		code, err := permission.PrintCode(ctx, db, time.Now(), *gateway, *note, time.Duration(*days)*24*time.Hour)
		if err != nil {
			return err
		}
		return asJSON(out, map[string]string{"code": code, "gateway": *gateway})
	}
}

func permissionsNewTenant(f *flag.FlagSet) databaseFunc {
	gateway := f.String("gateway", "", "`URL` of the gateway whose site another business has now")
	days := f.Int("days", 90, "for how many `days` the code for that business works")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		if *gateway == "" {
			return fmt.Errorf("%w: give --gateway", errUsage)
		}
		ended, err := permission.EndTenancy(ctx, db, time.Now(), *gateway)
		if err != nil {
			return err
		}
		code, err := permission.PrintCode(ctx, db, time.Now(), *gateway, "new tenant", time.Duration(*days)*24*time.Hour)
		if err != nil {
			return err
		}
		return asJSON(out, map[string]any{"gateway": *gateway, "ended": ended, "code": code})
	}
}

func messagesList(f *flag.FlagSet) databaseFunc {
	state := f.String("state", "", "only `those` waiting, sent or dead")
	format := f.String("format", "table", "table or json")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		ms, err := permission.Messages(ctx, db, *state)
		if err != nil {
			return err
		}
		switch *format {
		case "json":
			return asJSON(out, map[string]any{"data": append([]permission.MessageState{}, ms...)})
		case "table":
		default:
			return fmt.Errorf("%w: --format is table or json", errUsage)
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tCLIENT\tQUEUED\tTRIES\tNEXT OR ENDED\tPROBLEM")
		for _, m := range ms {
			at := m.Ended
			if at.IsZero() {
				at = m.Next
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.ID, m.State, safe(m.Client), minute(m.Created), m.Attempts, minute(at), safe(m.Problem))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		n, err := permission.Count(ctx, db, time.Now())
		fmt.Fprintf(out, "%d waiting, %d dead\n", n.Waiting, n.Dead)
		return err
	}
}

func messagesRetry(f *flag.FlagSet) databaseFunc {
	id := f.String("id", "", "`ID` of the dead letter")
	all := f.Bool("all", false, "all dead letters")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		if (*id == "") != *all {
			return fmt.Errorf("%w: give --id ID or --all", errUsage)
		}
		n, err := permission.RetryMessages(ctx, db, time.Now(), *id)
		if err == nil && n == 0 {
			err = fmt.Errorf("nothing to send again: perseus-central messages list --state dead shows the dead letters; 30 days after a withdrawal they cannot be sent any more")
		}
		if err != nil {
			return err
		}
		return asJSON(out, map[string]int64{"queued": n})
	}
}
