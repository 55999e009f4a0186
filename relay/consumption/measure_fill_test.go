package consumption

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// full is a relay whose database fills: a year that went through ingest, and
// copies of its rows.
type full struct {
	*year
	db     *database.DB
	scheme scheme.Scheme
	in     *ingest.Service
	people *permission.Service
	mux    *http.ServeMux
	taken  int // gateways that ingest was measured with
}

func newFull(t *testing.T, db *database.DB) *full {
	f := &full{year: newYear(t, db), db: db, mux: http.NewServeMux()}
	now := func() time.Time { return f.end.Add(time.Hour) }
	var err error
	if f.scheme, err = scheme.New("https://registry.example"); err != nil {
		t.Fatal(err)
	}
	const member = "https://directory.example/m/1"
	relay := f.pki.Signing("https://directory.example/a/relay", "Relay Ltd", member, f.scheme.Role(scheme.EDP))
	log := slog.New(record.Handler(t, slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	config := ingest.Config{DB: db, SigningRoots: f.pki.SigningCA.Pool(), Members: []string{member}, TrustFramework: f.scheme.TrustFramework(), Now: now, Logger: log}
	if f.people, err = permission.New(permission.Config{DB: db, Issuer: "https://people.example", Server: "https://relay.example", Scheme: f.scheme, Organisation: "Relay Ltd",
		Sites: ingest.New(config), SealKey: make([]byte, 32), Signer: relay.Key, Chain: relay.Chain, Now: now, Logger: log}); err != nil {
		t.Fatal(err)
	}
	config.Permits = f.people
	f.in = ingest.New(config)
	out, err := New(Config{Access: f.people.CheckToken, Store: f.in, Scheme: f.scheme, Now: now, Logger: log,
		Provenance: NewRecorder(f.scheme, "https://relay.example", provenance.Signer{Key: relay.Key, Chain: relay.Chain, Now: now}, f.in.BatchHashes)})
	if err != nil {
		t.Fatal(err)
	}
	f.in.Register(f.mux)
	out.Register(f.mux)
	return f
}

func (f *full) exec(q string, args ...any) {
	f.t.Helper()
	if _, err := f.db.Exec(q, args...); err != nil {
		f.t.Fatal(err, q)
	}
}

// fill copies the rows of the year, statements and evidence included, until
// there are n meters, ten at a site, with 400 days each, and a permission and a
// token for each site. Copied registers have numbers below 0. That they are read
// like the one that went through ingest is checked.
func (f *full) fill(have, n int) {
	f.t.Helper()
	gateways := fmt.Sprintf(`generate_series(%d, %d) g`, have/perSite, n/perSite-1)
	registers := fmt.Sprintf(`generate_series(%d, %d) i`, have+1, n)
	f.exec(`INSERT INTO site SELECT 'https://directory.example/g/f' || g, member, name, outcode, sha256(('c' || g)::bytea), registered, updated FROM site, ` + gateways + ` WHERE gateway = '` + gatewayURL + `'`)
	f.exec(`INSERT INTO head (gateway, sequence, hash) SELECT 'https://directory.example/g/f' || g, sequence, hash FROM head, ` + gateways + ` WHERE gateway = '` + gatewayURL + `'`)
	f.exec(`INSERT INTO signing_certificate SELECT 'https://directory.example/g/f' || g, serial, chain, registered FROM signing_certificate, ` + gateways + ` WHERE gateway = '` + gatewayURL + `'`)
	f.exec(`INSERT INTO batch SELECT 'https://directory.example/g/f' || g, sequence, hash, received, body FROM batch, ` + gateways + ` WHERE gateway = '` + gatewayURL + `'`)
	f.exec(`INSERT INTO meter SELECT 'https://directory.example/g/f' || ((i-1)/10), 'm' || ((i-1)%10), 'electricity', 'import', 'src' || i, TRUE FROM ` + registers)
	f.exec(`INSERT INTO register SELECT -i, 'https://directory.example/g/f' || ((i-1)/10), 'm' || ((i-1)%10), measure FROM register, ` + registers + ` WHERE gateway = '` + gatewayURL + `'`)
	const of = ` WHERE register = (SELECT id FROM register WHERE gateway = '` + gatewayURL + `')`
	f.exec(`INSERT INTO month_statement SELECT -i, month, batch, signed, proof, state, received FROM month_statement, ` + registers + of)
	f.exec(`INSERT INTO day SELECT -i, day, data FROM ` + registers + `, day` + of)
	f.exec(`INSERT INTO day SELECT -i, day - 365, data FROM `+registers+`, day`+of+` AND day >= $1`, f.end.Unix()/86400-35)

	var covers []map[string]string
	for m := range perSite {
		covers = append(covers, map[string]string{"meter": fmt.Sprint("m", m), "measure": "import"})
	}
	text, err := json.Marshal(covers)
	if err != nil {
		f.t.Fatal(err)
	}
	f.permit(`'f' || g`, gateways, string(text))
	f.exec(`ANALYZE`)
	want, got := httptest.NewRecorder(), f.ask(rand.IntN(n)+1)
	f.year.get(want, f.first, f.end)
	if w, g := dataOf(f.t, want), dataOf(f.t, got); len(w) < 1<<20 || !bytes.Equal(w, g) {
		f.t.Fatalf("a copied meter is not read like the one it was copied from: %d and %d bytes", len(w), len(g))
	}
}

// permit enters a permission and an access token, its own name, for each
// gateway whose last word is the SQL of name.
func (f *full) permit(name, from, covers string) {
	f.t.Helper()
	now := f.end.Unix()
	f.exec(`INSERT INTO permissions (id, client, client_name, parts, license, gateway, account, evidence, covers, available_from, granted, last_granted, expires)
		SELECT `+name+`, $1::text, 'Carbon Ltd', 'cap', $2::text, 'https://directory.example/g/' || `+name+`, 'a' || `+name+`, 'e' || `+name+`, $3::text, 946684800, $4::bigint, $4::bigint, $4::bigint + 31536000 FROM `+from,
		clientURL, f.scheme.LicenseConsumption(), covers, now)
	f.exec(`INSERT INTO permission_grants (id, permission, granted, expires, license, client_name, site_name, outcode, address, user_agent, words, covers)
		SELECT 'n' || `+name+`, `+name+`, $1::bigint, $1::bigint + 31536000, 'l', 'Carbon Ltd', 'Shop', 'SW8', '192.0.2.1', 'Browser', 'words', '[]' FROM `+from, now)
	f.exec(`INSERT INTO oauth_tokens (hash, kind, grant_id, permission, client, issued, expires, sealed)
		SELECT sha256(('r' || `+name+`)::bytea), 'refresh', 'n' || `+name+`, `+name+`, $2::text, $1::bigint, $1::bigint + 31536000, decode(repeat('00', 71), 'hex') FROM `+from, now, clientURL)
	f.exec(`INSERT INTO oauth_tokens (hash, kind, grant_id, permission, client, issued, expires)
		SELECT sha256((`+name+`)::bytea), 'access', 'n' || `+name+`, `+name+`, $2::text, $1::bigint, $1::bigint + 31536000 FROM `+from, now, clientURL)
}
