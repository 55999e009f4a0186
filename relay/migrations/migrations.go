// Package migrations holds the relay's database schema as goose migrations.
// They keep to the SQL that SQLite and PostgreSQL share (see relay/database).
package migrations

import "embed"

// Files are the migrations, for database.DB.Migrate(ctx, "relay", Files).
//
//go:embed *.sql
var Files embed.FS
