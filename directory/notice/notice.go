// Package notice tells people and programs something that they should know: by
// mail, through a configured server, or as a signed HTTPS request.
package notice

import (
	"context"
	"time"
)

// Notice is something to be told.
type Notice struct {
	ID      string    // the same for the same notice sent again, so that receivers can tell
	To      []string  // mail addresses; a webhook takes no heed of them
	Subject string    // one line
	Text    string    // for people
	At      time.Time // when it was written
	Data    any       // for programs: JSON
}

// Sender delivers notices. It may be called for one notice again when it said
// that it failed, or when the program ended meanwhile.
type Sender interface {
	Send(ctx context.Context, n Notice) error
}
