package permission_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// recorder is a database that remembers the statements that it is given.
type recorder struct {
	driver driver.Driver
	dsn    string

	mu   sync.Mutex
	said []string
}

func (r *recorder) Driver() driver.Driver { return r.driver }

func (r *recorder) Connect(context.Context) (driver.Conn, error) {
	c, err := r.driver.Open(r.dsn)
	if err != nil {
		return nil, err
	}
	return recorded{c, r}, nil
}

func (r *recorder) note(query string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, query)
}

// since gives the statements since it was last asked.
func (r *recorder) since() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.said
	r.said = nil
	return said
}

// recorded passes everything on to the driver's own connection.
type recorded struct {
	driver.Conn
	r *recorder
}

func (c recorded) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	c.r.note(q)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

func (c recorded) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	c.r.note(q)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
}

func (c recorded) PrepareContext(ctx context.Context, q string) (driver.Stmt, error) {
	c.r.note(q)
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, q)
}

func (c recorded) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.r.note("BEGIN")
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c recorded) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// What does not exist and what is another's cost the same work and get the same
// answer: neither tells anybody which of the two it is. (A clock would measure
// the machine; the statements are what can differ.)
func TestUnknownCostsWhatAnothersCosts(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		plain := open(t)
		r := &recorder{driver: plain.Driver(), dsn: dsnOf(t, plain)}
		db := &database.DB{DB: sql.OpenDB(r), Dialect: plain.Dialect}
		t.Cleanup(func() { db.Close() })
		w := newWorld(t, db)

		owner := w.stranger
		tok := owner.flow(perseus.LicenseCombined(), code1)
		uri, verifier := owner.push(perseus.LicenseCombined())
		live := w.browser().agree(owner.id, uri, code2).Get("code") // another's code that nobody has used
		usedURI, usedVerifier := owner.push(perseus.LicenseCombined())
		used := w.browser().agree(owner.id, usedURI, code2).Get("code")
		owner.redeem(used, usedVerifier)
		pending, _ := owner.push(perseus.LicenseCombined())
		unknown := "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"

		w.bank.refresh("warm") // the limits are asked once for several requests
		for _, c := range []struct {
			name     string
			ask      func(secret string) answer
			anothers []string
			same     bool // the answers too
		}{
			{"refresh", w.bank.refresh, []string{tok.refresh, tok.access}, true},
			{"code", func(s string) answer { return w.bank.post("/oauth/token", w.bank.redeemForm(s, verifier)) }, []string{live, used}, true},
			{"record", func(s string) answer { return w.bank.post("/oauth/permission", url.Values{"token": {s}}) }, []string{tok.refresh, tok.access}, true},
			{"resource", w.bank.use, []string{tok.access, tok.refresh}, true},
			{"request", func(s string) answer { return w.browser().get(w.authorizeURL(bankURL, s)) }, []string{pending, uri}, true},
			{"revoke", func(s string) answer { return w.bank.post("/oauth/revoke", url.Values{"token": {s}}) }, []string{tok.refresh, tok.access}, false}, // RFC 7009, section 2.1
		} {
			r.since()
			want := c.ask(unknown)
			wantWork := r.since()
			if len(wantWork) == 0 {
				t.Fatalf("%s: nothing was recorded", c.name)
			}
			for i, secret := range c.anothers {
				got := c.ask(secret)
				if work := r.since(); !slices.Equal(work, wantWork) {
					t.Errorf("%s %d: work for what is another's\n%q\nand for what does not exist\n%q", c.name, i, work, wantWork)
				}
				if c.same && (got.Status != want.Status || got.Body != want.Body) {
					t.Errorf("%s %d: %d %s, and for what does not exist %d %s", c.name, i, got.Status, got.Body, want.Status, want.Body)
				}
			}
		}
		if res := owner.use(tok.access); res.Status != 200 {
			t.Errorf("the owner afterwards: %d", res.Status)
		}
	})
}

// dsnOf asks an open database where it is.
func dsnOf(t *testing.T, db *database.DB) string {
	t.Helper()
	if db.Dialect == database.SQLite {
		var seq int
		var name, file string
		must(t, db.QueryRow(`PRAGMA database_list`).Scan(&seq, &name, &file))
		return "file:" + filepath.ToSlash(file) + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=foreign_keys(ON)"
	}
	var schema string
	must(t, db.QueryRow(`SELECT current_schema()`).Scan(&schema))
	u, err := url.Parse(os.Getenv("PERSEUS_TEST_POSTGRES"))
	must(t, err)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}
