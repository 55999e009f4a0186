package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

var quiet = slog.New(slog.DiscardHandler)

func migrate(db *database.DB) func(context.Context, fs.FS) error {
	return func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) }
}

// populate fills the tables, many rows to a statement. The texts are as long as
// real ones.
func populate(ctx context.Context, db *database.DB, z sizes, role string) error {
	pem, err := anyCertificate()
	if err != nil {
		return err
	}
	far := time.Now().AddDate(1, 0, 0).Unix()
	revoked := time.Now().Add(-time.Hour).Unix()
	return db.Write(ctx, func(tx *sql.Tx) error {
		for _, t := range []struct {
			into string
			n    int
			row  func(i int) []any
		}{
			{`directory_members (id, legal_name, brand_name, created_at, revision)`, z.members, func(i int) []any {
				return []any{id(i), fmt.Sprintf("Company %d Ltd", i), fmt.Sprintf("Brand %d", i), 0, 1}
			}},
			{`directory_member_roles (member, role)`, z.members, func(i int) []any { return []any{id(i), role} }},
			{`directory_applications (id, member, name, home_page, message_delivery, created_at)`, z.members, func(i int) []any {
				return []any{id(i), id(i), fmt.Sprintf("Application %d", i), "", "https://" + id(i) + ".example/messages", 0}
			}},
			{`directory_application_roles (application, role)`, z.members, func(i int) []any { return []any{id(i), role} }},
			{`directory_certificates (serial, hierarchy, member, application, hosts, not_before, not_after, revoked_at, pem)`, z.certificates, func(i int) []any {
				var at any
				if i < z.revoked {
					at = revoked
				}
				return []any{serial(i), "client", id(i % z.members), id(i % z.members), "", revoked, far, at, pem}
			}},
		} {
			if err := insert(ctx, tx, t.into, t.n, t.row); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `UPDATE directory_listing SET revision = 1, wiped = 1 WHERE one = 1`)
		return err
	})
}

// anyCertificate is one as long as a member's (PEM, 1.2 KiB): the keys of those that
// were revoked are looked at when another is issued.
func anyCertificate() (string, error) {
	key, issuer, err := bareIssuer()
	if err != nil {
		return "", err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter, DNSNames: []string{strings.Repeat("member.", 85) + "example"}}
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, key.Public(), key)
	if err != nil {
		return "", err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return "", err
	}
	return string(identity.EncodeCertificates(c)), nil
}

func insert(ctx context.Context, tx *sql.Tx, into string, n int, row func(int) []any) error {
	const most = 500
	for i := 0; i < n; {
		var places []string
		var args []any
		for ; i < n && len(places) < most; i++ {
			var p []string
			for _, v := range row(i) {
				args = append(args, v)
				p = append(p, fmt.Sprintf("$%d", len(args)))
			}
			places = append(places, "("+strings.Join(p, ", ")+")")
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO `+into+` VALUES `+strings.Join(places, ", "), args...); err != nil {
			return err
		}
	}
	return nil
}

func id(i int) string { return fmt.Sprintf("m%d", i) }

// serial is as long as a real one: 128 bits.
func serial(i int) string { return fmt.Sprintf("1%032d%05d", i, i%99999) }
