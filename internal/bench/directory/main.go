// Command directory measures a directory of 100,000 members and 300,000
// certificates, 30,000 of them revoked, on SQLite and, where
// PERSEUS_TEST_POSTGRES names one, on PostgreSQL: how many certificates it
// issues a second, how many entries it lists, how long a revocation list takes
// and how large it is; each beside the bare cryptography and the bare database
// operation of the same run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

type sizes struct {
	members, certificates, revoked int
	span                           time.Duration
}

func main() {
	var z sizes
	flag.IntVar(&z.members, "members", 100_000, "how many members")
	flag.IntVar(&z.certificates, "certificates", 300_000, "how many certificates")
	flag.IntVar(&z.revoked, "revoked", 30_000, "how many of them are revoked")
	flag.DurationVar(&z.span, "span", 5*time.Second, "how long to measure, each")
	flag.Parse()
	if err := run(context.Background(), z); err != nil {
		fmt.Fprintln(os.Stderr, "bench directory:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, z sizes) error {
	if z.certificates < z.members || z.revoked > z.certificates || z.members < 1 {
		return fmt.Errorf("need at least one certificate for each member, and no more revoked than there are")
	}
	dir, err := os.MkdirTemp("", "bench-directory.*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	authorities, err := ca.CreateAuthorities(filepath.Join(dir, "authorities"), "Bench", time.Now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	dsns := []string{"sqlite:" + filepath.Join(dir, "directory.db")}
	if dsn := os.Getenv("PERSEUS_TEST_POSTGRES"); dsn != "" {
		dsns = append(dsns, dsn)
	} else {
		fmt.Println("PERSEUS_TEST_POSTGRES is not set: not measured on PostgreSQL (scripts/with-postgres makes one)")
	}
	for _, dsn := range dsns {
		if err := one(ctx, dsn, z, authorities); err != nil {
			return err
		}
	}
	return nil
}

func one(ctx context.Context, dsn string, z sizes, authorities *ca.Authorities) error {
	db, err := database.Open(dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := scheme.New("https://registry.example.org")
	if err != nil {
		return err
	}
	d, err := directory.New(directory.Config{DB: db.DB, Migrate: migrate(db), BaseURL: "https://directory.example.org", Authorities: authorities, Scheme: s, RelayURL: "https://relay.example.org", Logger: quiet})
	if err != nil {
		return err
	}
	began := time.Now()
	if err := populate(ctx, db, z, s.Role(scheme.EDP)); err != nil {
		return err
	}
	fmt.Printf("\n%s: %d members, %d certificates, %d revoked (filled in %s)\n", db.Dialect, z.members, z.certificates, z.revoked, time.Since(began).Round(time.Second))
	front, err := server.New(d, server.Config{})
	if err != nil {
		return err
	}
	m := &measures{ctx: ctx, db: db, d: d, front: front, z: z}
	for _, f := range []func() error{m.issue, m.listing, m.status, m.list} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
