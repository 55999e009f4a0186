package listing_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/registry"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// benchMembers is how many members the benchmarks list: 2,000, or
// $PERSEUS_BENCH_MEMBERS.
func benchMembers() int {
	if n, err := strconv.Atoi(os.Getenv("PERSEUS_BENCH_MEMBERS")); err == nil {
		return n
	}
	return 2000
}

func benchWorld(b *testing.B) *dirtest.World {
	b.Helper()
	w := dirtest.New(b, "sqlite:"+filepath.Join(b.TempDir(), "d.db"))
	w.ServeAs(b, server.Config{Terms: dirtest.Must(registry.BuiltIn(w.Scheme))(b)})
	tx, err := w.DB.Begin()
	if err != nil {
		b.Fatal(err)
	}
	role := w.Scheme.Role(scheme.EDP)
	for i := range benchMembers() {
		id := fmt.Sprintf("m%d", i)
		for _, q := range []struct {
			text string
			args []any
		}{
			{`INSERT INTO directory_members (id, legal_name, brand_name, created_at, revision) VALUES ($1, $2, $3, 0, 1)`, []any{id, "Company " + id, "Brand " + id}},
			{`INSERT INTO directory_member_roles (member, role) VALUES ($1, $2)`, []any{id, role}},
			{`INSERT INTO directory_applications (id, member, name, home_page, message_delivery, created_at) VALUES ($1, $1, $2, '', $3, 0)`, []any{id, "App " + id, "https://" + id + ".example/"}},
			{`INSERT INTO directory_application_roles (application, role) VALUES ($1, $2)`, []any{id, role}},
		} {
			if _, err := tx.Exec(q.text, q.args...); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return w
}

// BenchmarkListing reads members in their forms; a change to one member; the
// listing from nothing.
func BenchmarkListing(b *testing.B) {
	w := benchWorld(b)
	handler := w.Front.Handler()
	for _, c := range []struct{ name, path, accept string }{
		{"json", "/m/m%d", "application/json"}, {"turtle", "/m/m%d", "text/turtle"}, {"jsonld", "/m/m%d", "application/ld+json"},
		{"xml", "/m/m%d", "application/rdf+xml"}, {"html", "/m/m%d", "text/html"}, {"allowlist", "/allowlist/trust-framework", ""},
		{"sparql", "/sparql?query=" + url.QueryEscape("ASK { <"+dirtest.Base+"/m/m%d> ?p ?o }"), ""},
		{"sparql-scan", "/sparql?query=" + url.QueryEscape("SELECT ?m { ?m <http://schema.org/legalName> ?n FILTER regex(?n, '77$') } LIMIT 10"), ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			w.Call("GET", "/sparql?query=ASK%7B%7D", nil)
			for i := 0; b.Loop(); i++ {
				path := c.path
				if c.name != "sparql-scan" && c.name != "allowlist" {
					path = strings.Replace(c.path, "%25d", "%d", 1)
					path = strings.Replace(path, "%d", strconv.Itoa(i%benchMembers()), 1)
				}
				r := w.Request(http.MethodGet, path, nil, "Accept", c.accept)
				rec := httptest.NewRecorder()
				if handler.ServeHTTP(rec, r); rec.Code != 200 {
					b.Fatal(rec.Code, rec.Body)
				}
			}
		})
	}
	b.Run("database-row", func(b *testing.B) { // what one read of the bare database costs
		for i := 0; b.Loop(); i++ {
			var name string
			if err := w.DB.QueryRow(`SELECT legal_name FROM directory_members WHERE id = $1`, fmt.Sprintf("m%d", i%benchMembers())).Scan(&name); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("after-a-change", func(b *testing.B) {
		for b.Loop() {
			if err := w.InTx(context.Background(), func(tx *sql.Tx) error { return w.ListingChanged(context.Background(), tx, "m1") }); err != nil {
				b.Fatal(err)
			}
			dirtest.Must(w.Front.Listing.Listing(b.Context()))(b)
		}
	})
	b.Run("from-nothing", func(b *testing.B) {
		for b.Loop() {
			dirtest.Must(w.Front.Listing.Refreshed(b.Context(), nil))(b)
		}
	})
	b.Run("dataset", func(b *testing.B) {
		l := dirtest.Must(w.Front.Listing.Listing(b.Context()))(b)
		for b.Loop() {
			w.Front.Listing.MakeDataset(l)
		}
	})
}
