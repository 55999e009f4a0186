package database

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"sync"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

var migrationSet = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

// migrating serialises the migrations of this process: goose does not lock
// SQLite by itself.
var migrating sync.Mutex

// Migrate brings the tables of one part of the service up to date. files holds
// goose migrations (NNNN_name.sql) at its root; name ("relay", "directory")
// names the table in which their versions are counted, so that the parts do
// not disturb each other. On PostgreSQL several programs may call it at once.
func (db *DB) Migrate(ctx context.Context, name string, files fs.FS) error {
	return db.migrate(ctx, name, files, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// MigrateTo is Migrate up to one version, for a backup that was made at it.
func (db *DB) MigrateTo(ctx context.Context, name string, files fs.FS, version int64) error {
	return db.migrate(ctx, name, files, func(p *goose.Provider) error {
		_, err := p.UpTo(ctx, version)
		return err
	})
}

func (db *DB) migrate(ctx context.Context, name string, files fs.FS, up func(*goose.Provider) error) error {
	if !migrationSet.MatchString(name) {
		return fmt.Errorf("database: migrate: %q is not a name of lower-case letters", name)
	}
	migrating.Lock()
	defer migrating.Unlock()
	options := []goose.ProviderOption{goose.WithTableName("migrated_" + name), goose.WithDisableGlobalRegistry(true)}
	dialect := goose.DialectSQLite3
	if db.Dialect == PostgreSQL {
		dialect = goose.DialectPostgres
		l, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return fmt.Errorf("database: migrate %s: %w", name, err)
		}
		options = append(options, goose.WithSessionLocker(l))
	}
	// The provider is not closed: that would close the database.
	p, err := goose.NewProvider(dialect, db.DB, files, options...)
	if err != nil {
		return fmt.Errorf("database: migrate %s: %w", name, err)
	}
	if err := up(p); err != nil {
		return fmt.Errorf("database: migrate %s: %w", name, err)
	}
	return nil
}
