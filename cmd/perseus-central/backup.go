package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/account"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/dump"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// backupOut is what backup and restore print.
type backupOut struct {
	File      string    `json:"file"`
	Made      time.Time `json:"made"`
	Program   string    `json:"program"`
	From      string    `json:"from"`
	Tables    int       `json:"tables"`
	Rows      int64     `json:"rows"`
	SHA256    string    `json:"sha256"`               // of its contents
	AuditHead string    `json:"audit_head,omitempty"` // to be noted elsewhere
}

func summary(file string, s dump.Summary, head audit.Head) backupOut {
	out := backupOut{File: file, Made: s.Made, Program: s.Program, From: string(s.From), Tables: s.Tables, Rows: s.Rows, SHA256: s.SHA256}
	if head.Hash != "" {
		out.AuditHead = head.String()
	}
	return out
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// backup copies the whole database to a file while everything runs. The file
// appears complete or not at all, and only its owner can read it.
func backup(f *flag.FlagSet) databaseFunc {
	to := f.String("out", "", "`file`, such as central-2026-11-22.backup; one that is there is not overwritten")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		if *to == "" {
			return fmt.Errorf("%w: give --out FILE", errUsage)
		}
		if _, err := os.Stat(*to); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: name a new file", *to)
		}
		tmp, err := os.CreateTemp(filepath.Dir(*to), "."+filepath.Base(*to)+".*") // mode 0600
		if err != nil {
			return err
		}
		defer os.Remove(tmp.Name()) // after the rename: no effect
		defer tmp.Close()
		var head audit.Head
		s, err := dump.Write(ctx, db, tmp, "perseus-central "+version(), time.Now(), func(tx *sql.Tx) error {
			there, err := hasDirectory(ctx, tx, db.Dialect)
			if err != nil || !there {
				return err
			}
			head, err = audit.HeadOf(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		if err := errors.Join(tmp.Sync(), tmp.Close(), os.Rename(tmp.Name(), *to)); err != nil {
			return err
		}
		identity.SyncDir(filepath.Dir(*to))
		return printJSON(out, summary(*to, s, head))
	}
}

// hasDirectory reports whether a database has a directory's tables: a relay's
// alone has none, and no audit log.
func hasDirectory(ctx context.Context, tx *sql.Tx, d database.Dialect) (bool, error) {
	tables, err := dump.Tables(ctx, tx, d)
	return slices.Contains(tables, "directory_audit_head"), err
}

// restore puts a backup into an empty database, of either kind.
func restore(f *flag.FlagSet) databaseFunc {
	from := f.String("in", "", "`file` that backup made")
	moved := f.Bool("move", false, "nothing was written since the backup: sessions, codes and links stay good")
	check := f.Bool("check", false, "read the file to its end and say what it holds; the database is not touched")
	return func(ctx context.Context, db *database.DB, out io.Writer) error {
		if *from == "" {
			return fmt.Errorf("%w: give --in FILE", errUsage)
		}
		file, err := os.Open(*from)
		if err != nil {
			return err
		}
		defer file.Close()
		if *check {
			s, err := dump.Check(file)
			if err != nil {
				return fmt.Errorf("%s: %w", *from, err)
			}
			return printJSON(out, summary(*from, s, audit.Head{}))
		}
		// The time of the backup is in its header, which the check reads; the
		// check also finds damage before anything is written.
		checked, err := dump.Check(file)
		if err != nil {
			return fmt.Errorf("%s: %w", *from, err)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		var head audit.Head
		sets := map[string]fs.FS{"directory": directory.Migrations(), "relay": migrations.Files}
		s, err := dump.Restore(ctx, db, file, sets, func(tx *sql.Tx) error {
			ctx := audit.WithActor(ctx, operator())
			tables, err := dump.Tables(ctx, tx, db.Dialect)
			if err == nil && !*moved {
				err = permission.Restored(ctx, tx, tables)
			}
			if err == nil && !*moved && slices.Contains(tables, "account_sessions") { // a backup of before has none
				err = account.Restored(ctx, tx)
			}
			if err != nil {
				return err
			}
			there, err := hasDirectory(ctx, tx, db.Dialect)
			if err != nil || !there {
				return err
			}
			if _, err := audit.Verify(ctx, tx); err != nil {
				return fmt.Errorf("the backup's audit log: %w", err)
			}
			if err := directory.Restored(ctx, tx, time.Now(), checked.Made, *moved); err != nil {
				return err
			}
			head, err = audit.Verify(ctx, tx)
			return err
		})
		if errors.Is(err, dump.ErrNotEmpty) {
			return fmt.Errorf("%w (the configuration's database: name a new file, or an empty database or schema)", err)
		} else if err != nil {
			return err
		}
		return printJSON(out, summary(*from, s, head))
	}
}
