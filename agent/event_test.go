package agent

import (
	"fmt"
	"testing"
	"time"
)

// A meter that misbehaves does not push out what happened to the others.
func TestNotesLeaveRoom(t *testing.T) {
	var n notes
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	n.add(at, "calm", "opened")
	for i := range 3 * maxNotes {
		n.add(at, "loud", fmt.Sprint(i))
	}
	n.add(at, "", "clock")
	got := n.newestFirst()
	if len(got) != maxNotes || got[0].What != "clock" || got[maxNotes-1].What != "opened" || got[1].What != fmt.Sprint(3*maxNotes-1) || got[maxNotes-2].What != fmt.Sprint(2*maxNotes+2) {
		t.Errorf("%d notes, from %+v to %+v", len(got), got[0], got[len(got)-2:])
	}
}
