package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// waitForHealth waits until /healthz says what it should.
func (g *gateway) waitForHealth(what string, want int) (reasons []string) {
	g.t.Helper()
	until(g.t, 90*time.Second, what, []*process{g.process}, func() error {
		code, why, err := g.health()
		reasons = why
		if err == nil && code != want {
			err = fmt.Errorf("/healthz says %d %v", code, why)
		}
		return err
	})
	return reasons
}

// checkFull runs an agent into a disk without room and out of it again: it
// goes on reading, says so, and no energy is lost. With kill, it is killed and
// started anew while there is no room.
func checkFull(t *testing.T, g *gateway, l *load, fill, free func(), kill bool) {
	t.Helper()
	g.run()
	g.waitForPeriods("the agent works", time.Time{})
	until(t, 30*time.Second, "the register is in the store", []*process{g.process}, func() error {
		s, err := g.status()
		if err == nil && (s.Store.Usage == nil || s.Store.Usage.HalfHours == 0) {
			err = fmt.Errorf("%+v", s.Store)
		}
		return err
	})
	g.waitForHealth("all is well", http.StatusOK)
	l.begin(time.Now())
	g.waitForPeriods("the meter counts", time.Now())

	fill()
	reasons := g.waitForHealth("the agent says that it cannot store", http.StatusServiceUnavailable)
	if text := strings.Join(reasons, " "); !strings.Contains(text, "cannot be stored") || !strings.Contains(text, "no room left on the disk") {
		t.Errorf("/healthz does not say why in plain words: %v", reasons)
	}
	s, err := g.status()
	if err != nil || s.Store.Writing.Waiting == 0 && s.Store.Writing.Failures == 0 || s.Healthy {
		t.Errorf("status: %+v, %v", s.Store, err)
	}
	if s.Meters[0].State != "ok" {
		t.Errorf("the meter is %s while the disk is full", s.Meters[0].State)
	}
	g.waitForPeriods("the agent goes on reading", time.Now().Add(2*time.Second))
	if kill {
		g.kill()
		free()
		g.run()
	} else {
		free()
	}
	g.waitForHealth("the agent stores again once there is room", http.StatusOK)
	l.end(time.Now())
	g.waitForPeriods("the meter stands still again", l.to.Add(2*time.Second))
	if err := g.stop(); err != nil {
		t.Fatalf("%v\n%s", err, g.log.last(20))
	}
	all := g.readings()
	if sum := checkChain(t, all, time.Second); sum != l.advance() {
		t.Errorf("%d periods sum to %d Wh, the meter counted %d", len(all), sum, l.advance())
	}
	if log := g.log.String(); !kill && (!strings.Contains(log, "readings cannot be stored") || !strings.Contains(log, "can be written again")) {
		t.Errorf("the log does not tell of it:\n%s", g.log.last(20))
	}
	t.Logf("%d periods, %d Wh as counted", len(all), l.advance())
}
