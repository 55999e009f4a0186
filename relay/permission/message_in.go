package permission

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/perseus-edge/perseus-edge/identity"
)

// pathMessages is where other applications deliver messages, below
// Config.Server: the relay's messageDelivery in the directory.
const pathMessages = "/messages"

// maxMessage bounds a message; a real one takes 300 bytes.
const maxMessage = 16 << 10

// serveMessage takes a message of another application. A message of withdrawal
// is answered alike whether its token is known or not: who sends it learns
// nothing, and sending it again does no harm.
func (s *Service) serveMessage(w http.ResponseWriter, r *http.Request) {
	sender, err := s.peer(r)
	if err == nil && len(sender.Roles) == 0 {
		err = &Error{Status: http.StatusForbidden, Code: "access_denied", Description: "messages are taken from applications; your certificate is a gateway's"}
	}
	if err == nil {
		err = s.within(r.Context(), "messages", sender.Application, cmp.Or(s.c.MessageRate, defaultMessageRate))
	}
	var m message
	if err == nil {
		m, err = s.readMessage(w, r)
	}
	if err == nil { // the body may have taken its time
		sender, err = s.peer(r)
	}
	if err == nil {
		err = s.takeMessage(r, sender, m)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

func (s *Service) readMessage(w http.ResponseWriter, r *http.Request) (m message, err error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return m, &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request", Description: "send the message as application/json"}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if errors.As(err, new(*http.MaxBytesError)) {
		return m, &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "the message is larger than 16 KiB"}
	}
	if err != nil {
		return m, bad("invalid_request", "the message cannot be read")
	}
	return m, s.parseMessage(b, &m)
}

// parseMessage reads the message and checks what it says of itself.
func (s *Service) parseMessage(b []byte, m *message) error {
	if json.Unmarshal(b, m) != nil {
		return bad("invalid_request", "the message is not the JSON object of a message, whose body has a token")
	}
	switch {
	case m.Framework != s.c.Scheme.TrustFramework():
		return bad("invalid_request", "ib1:message must be %s", s.c.Scheme.TrustFramework())
	case m.Subject != s.c.WithdrawalSubject:
		return bad("invalid_request", "subject must be %s: other messages are not taken here", s.c.WithdrawalSubject)
	case m.Body.Token == "" || len(m.Body.Token) > 4096:
		return bad("invalid_request", "body.token must be the refresh token of the permission that is withdrawn, at most 4096 bytes")
	}
	return nil
}

// takeMessage ends what the token names: a permission that we issued to the
// sender, as its own revocation would; and every permission of ours that
// relies on one which the sender issued to us.
func (s *Service) takeMessage(r *http.Request, sender identity.Peer, m message) error {
	ctx, hash := r.Context(), hashOf(m.Body.Token)
	type end struct{ permission, by string }
	ends, err := queryAll(ctx, s.db, func(rows *sql.Rows) (e end, err error) { return e, rows.Scan(&e.permission, &e.by) },
		`SELECT permission, 'client' FROM oauth_tokens WHERE hash = $1 AND kind = 'refresh' AND client = $2
		UNION ALL SELECT permission, 'message' FROM permission_held WHERE hash = $1 AND issuer = $2 ORDER BY 1`, hash, sender.Application)
	if err != nil {
		return err
	}
	ended := 0
	for _, e := range ends {
		var ok bool
		if e.by == byClient {
			ok, err = s.givenUp(ctx, e.permission, sender)
		} else {
			ok, err = s.withdraw(ctx, e.permission, e.by)
		}
		if err != nil {
			return err
		}
		if ok {
			ended++
		}
	}
	s.log.Info("permission: message of withdrawal", "from", sender.Application, "known", len(ends) > 0, "ended", ended)
	return nil
}

// absolute reports whether a text is an absolute https URL.
func absolute(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.Fragment == ""
}
