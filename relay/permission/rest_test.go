package permission_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Nothing that opens anything lies in the database: not a token, not a code,
// not a request URI, not a meter code, in no table and no column.
func TestNoSecretsAtRest(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		uri, verifier := w.bank.push(perseus.LicenseCombined())
		code := w.browser().agree(bankURL, uri, code1).Get("code")
		tok := w.bank.redeem(code, verifier)
		pending, _ := w.bank.push(perseus.LicenseEmissions())
		unused, _ := w.cap.push(perseus.LicenseConsumption())
		unusedCode := w.browser().agree(capURL, unused, code1).Get("code")

		all := dump(t, w.db)
		if !bytes.Contains(all, []byte("Riverside Unit 4")) || !bytes.Contains(all, []byte(bankURL)) {
			t.Fatal("this is not the whole database")
		}
		for name, secret := range map[string]string{"access token": tok.access, "refresh token": tok.refresh, "used code": code, "unused code": unusedCode,
			"used request_uri": uri[len(uri)-43:], "pending request_uri": pending[len(pending)-43:], "verifier": verifier, "meter code": code1, "meter code in one": strings.ReplaceAll(code1, "-", "")} {
			if bytes.Contains(all, []byte(secret)) {
				t.Errorf("the %s lies in the database", name)
			}
		}

		// The sealed copy gives the token back, for its own permission alone.
		var permission string
		must(t, w.db.QueryRow(`SELECT id FROM permissions WHERE client = $1`, bankURL).Scan(&permission))
		if got, err := w.svc.RefreshTokens(t.Context(), permission); err != nil || len(got) != 1 || got[0] != tok.refresh {
			t.Errorf("the copy: %v, %v", got, err)
		}
		_, err := w.db.Exec(`UPDATE oauth_tokens SET permission = (SELECT id FROM permissions WHERE client = $1) WHERE sealed IS NOT NULL`, capURL)
		must(t, err)
		must(t, w.db.QueryRow(`SELECT id FROM permissions WHERE client = $1`, capURL).Scan(&permission))
		if got, err := w.svc.RefreshTokens(t.Context(), permission); err == nil {
			t.Errorf("a copy was opened for another permission: %v", got)
		}
	})
}

// dump reads every column of every table.
func dump(t *testing.T, db *database.DB) []byte {
	t.Helper()
	query := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if db.Dialect == database.PostgreSQL {
		query = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	var tables []string
	rows, err := db.Query(query)
	must(t, err)
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	must(t, rows.Err())
	rows.Close()
	var out bytes.Buffer
	for _, name := range tables {
		rows, err := db.Query(`SELECT * FROM "` + name + `"`)
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			must(t, rows.Scan(into...))
			for _, v := range values {
				if b, ok := v.([]byte); ok {
					out.Write(b)
				} else {
					fmt.Fprint(&out, v)
				}
				out.WriteByte('\n')
			}
		}
		must(t, rows.Err())
		rows.Close()
	}
	return out.Bytes()
}

// The address for people asks nobody for a certificate, whoever has one; the
// address for programs asks everybody.
func TestWhoIsAskedForACertificate(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	for _, c := range []struct {
		at   string
		want bool
	}{{w.issuer, false}, {w.server, true}} {
		asked := false
		conf := identity.ClientTLS(w.pki.ServerCA.Pool(), w.bank.leaf.Get)
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { asked = true; return w.bank.leaf.Get() }
		conn, err := tls.Dial("tcp", strings.TrimPrefix(c.at, "https://"), conf)
		must(t, err)
		if s := conn.ConnectionState(); s.Version != tls.VersionTLS13 || asked != c.want {
			t.Errorf("%s: TLS %x, asked for a certificate: %v, want %v", c.at, s.Version, asked, c.want)
		}
		conn.Close()
		// Nor is there a way in with an older TLS.
		conf.MinVersion, conf.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if conn, err := tls.Dial("tcp", strings.TrimPrefix(c.at, "https://"), conf); err == nil {
			conn.Close()
			t.Errorf("%s speaks TLS 1.2", c.at)
		}
	}
}
