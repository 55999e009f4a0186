package simulation

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
)

// recent is a log that remembers its last lines, for whoever looks into a
// violation.
type recent struct {
	next  slog.Handler
	lines []string
	buf   bytes.Buffer
	text  slog.Handler
}

const remembered = 60

func newRecent(next slog.Handler) *recent {
	r := &recent{next: next}
	r.text = slog.NewTextHandler(&r.buf, nil)
	return r
}

// Enabled takes what matters, and what the next handler wants.
func (r *recent) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelInfo || r.next.Enabled(ctx, l)
}

// Handle remembers all but the complaints of the uplink.
func (r *recent) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelInfo && !strings.HasPrefix(rec.Message, "uplink") && !strings.HasPrefix(rec.Message, "meter ") {
		r.buf.Reset()
		_ = r.text.Handle(ctx, rec)
		if len(r.lines) == remembered {
			r.lines = append(r.lines[:0], r.lines[1:]...)
		}
		r.lines = append(r.lines, strings.TrimSpace(r.buf.String()))
	}
	if r.next.Enabled(ctx, rec.Level) {
		return r.next.Handle(ctx, rec)
	}
	return nil
}

func (r *recent) WithAttrs(a []slog.Attr) slog.Handler { return r }
func (r *recent) WithGroup(string) slog.Handler        { return r }
