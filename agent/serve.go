package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// serve offers the page and the API until ctx ends, and calls tried once it
// does, or cannot. A port that is taken is reported and tried again: reading
// meters does not depend on it (law 9).
func (a *Agent) serve(ctx context.Context, h http.Handler, tried func()) {
	addr := a.opt.Config.Web.Listen
	for failed := false; ; {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err == nil {
			a.log.Info("local page", "url", "http://"+l.Addr().String()+"/")
			tried()
			err = a.serveOn(ctx, l, h)
		}
		tried()
		if ctx.Err() != nil {
			return
		}
		if !failed {
			a.log.Error("local page cannot be offered: is another program using the address?", "listen", addr, "error", err)
			a.notes.add(a.Now(), "", "The local page cannot be offered at "+addr+": "+err.Error())
			failed = true
		}
		t := time.NewTimer(30 * time.Second)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

func (a *Agent) serveOn(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 5 * time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if s.Shutdown(late) != nil {
			s.Close()
		}
	})
	defer stop()
	err := s.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
