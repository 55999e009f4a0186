package uplink

import (
	"io"
	"log/slog"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

func TestZZRealStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		s, _, err := store.Open(filepath.Join(t.TempDir(), "a.db"), store.Options{Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var round store.Round
		for _, h := range hours(time.Now(), 3000) {
			round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: mainImport, HalfHour: h})
		}
		round.Statements = append(round.Statements, energy.KeyedStatement{Key: mainImport, At: time.Now().Add(-time.Hour), Body: []byte(`{"a":1}`)}, energy.KeyedStatement{Key: gas, At: time.Now().Add(-time.Hour), Body: []byte(`{"a":1}`)})
		if err := s.Commit(round); err != nil {
			t.Fatal(err)
		}
		n := 0
		r.wire.pick = nil
		r.relay.grant(grantOf("g1", mainImport))
		c, err := New(Config{Dir: r.dir, Outbox: s, HTTP: r.wire, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		r.c = c
		r.mu.Unlock()
		r.wire.pick = nil
		bad := true
		_ = bad
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx) }()
		pass(time.Minute)
		n, w, carried, head := r.relay.counts()
		t.Log(n, w, carried, head, len(r.relay.baseline), c.Status())
		r.relay.wipe()
		for i := range 5 {
			pass(energy.Period)
			var round store.Round
			for _, h := range hours(time.Now(), 1) {
				round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: mainImport, HalfHour: h})
			}
			if i == 2 {
				r.relay.grant()
			}
			if i == 4 {
				r.relay.grant(grantOf("g2", mainImport))
			}
			if err := s.Commit(round); err != nil {
				t.Fatal(err)
			}
			c.Notify()
		}
		pass(time.Hour)
		n, w, carried, head = r.relay.counts()
		t.Log(n, w, carried, head, c.Status())
		cancel()
		<-done
	})
}
