package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// page is a web server of the site: an API, and what goes wrong with answers.
type page struct {
	address string
	answer  func(r *http.Request) (status int, body any)
	dice    *fault.Dice
	now     func() time.Time
}

// run serves until ctx ends.
func (p *page) run(ctx context.Context) error {
	listener, err := listenAgain(ctx, p.address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP answers, or does what is done in the field instead.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, _, gone := p.dice.On("disconnect"); gone {
		panic(http.ErrAbortHandler) // hangs up
	}
	if _, _, off := p.dice.On("restart"); off {
		http.Error(w, "<html>down for maintenance</html>", http.StatusServiceUnavailable)
		return
	}
	name := p.dice.Draw("busy", "foreign", "short")
	switch name {
	case "busy":
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"message":"Too Many Requests"}`)
		return
	case "foreign": // a proxy's log-in page, with status 200
		fmt.Fprint(w, "<!DOCTYPE html><html>Log in to the network</html>")
		return
	}
	status, body := p.answer(r)
	b, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if name == "short" {
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		w.WriteHeader(status)
		_, _ = w.Write(b[:len(b)/2])
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
