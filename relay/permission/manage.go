package permission

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listPage shows every permission of a site.
type listPage struct {
	Site     Site
	Code     string
	Held     string // where an account shows it
	Accounts int    // that hold the site
	Notice   say
	Items    []listItem
}

type listItem struct {
	N         string // for identifiers on the page
	Code      string // by which the site is shown, or
	Held      string
	Sub       bool // below the heading of its site
	Row       row
	State, By string // keys
	Live      bool   // data may flow
	Ended     bool   // by its date
	CanEnd    bool
	Receivers []receiver
	Meters    []meterLine
	Evidence  string
	ReliesOn  string   // names of those with which it ends
	Also      []string // names of those that end with it
	Told      say      // whether its client knows of the withdrawal
}

// showPermissions asks for the meter code.
func (s *Service) showPermissions(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "permissions", findPage{})
}

// postPermissions lists the permissions of the site with the code. It is a
// POST so that the code is in no address, history or log.
func (s *Service) postPermissions(w http.ResponseWriter, r *http.Request) { s.list(w, r, false) }

// postWithdraw withdraws one of them, by that one press: its card has said what
// that does, and which others end too.
func (s *Service) postWithdraw(w http.ResponseWriter, r *http.Request) { s.list(w, r, true) }

func (s *Service) list(w http.ResponseWriter, r *http.Request, withdraw bool) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return
	}
	s.listFor(w, r, f, func(x shown, p *listPage) error {
		if !withdraw {
			return nil
		}
		var err error
		p.Notice, err = s.withdrawOf(r, x.Site, f.Get("permission"))
		return err
	})
}

// listFor shows the list of the site of a form, once act has done what the form
// is for.
func (s *Service) listFor(w http.ResponseWriter, r *http.Request, f url.Values, act func(shown, *listPage) error) {
	x, err := s.shownBy(r, f)
	var ue *userError
	if errors.As(err, &ue) {
		retryAfter(w, ue)
		s.render(w, r, ue.Status, "permissions", findPage{Code: cleanName(f.Get("code")), Problem: ue.say})
		return
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	p := listPage{Site: x.Site, Code: x.Code, Held: x.Held}
	if err := act(x, &p); err != nil {
		s.pageError(w, r, err)
		return
	}
	p.Items, err = s.items(r.Context(), x.Site.Gateway)
	if err == nil && x.Held == "" {
		p.Accounts, err = s.accounts.Holders(r.Context(), x.Site.Gateway, x.Site.CodeVersion)
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	for i := range p.Items {
		p.Items[i].Code, p.Items[i].Held = x.Code, x.Held
	}
	s.render(w, r, http.StatusOK, "list", p)
}

// withdrawOf withdraws a permission if it is one of the site's, and says what
// happened.
func (s *Service) withdrawOf(r *http.Request, site Site, id string) (say, error) {
	ctx := r.Context()
	rows, err := s.rows(ctx, s.now(), `WHERE p.gateway = $2 AND `+ofTenant, site.Gateway)
	if err != nil {
		return say{}, err
	}
	at := slices.IndexFunc(rows, func(p row) bool { return p.ID == id })
	if at < 0 {
		return say{}, refuse(http.StatusNotFound, "list.nosuch")
	}
	p := rows[at]
	dependants, err := s.dependants(ctx, p.Gateway)
	if err != nil {
		return say{}, err
	}
	others := fallWith(p, rows, dependants)
	ended, err := s.withdraw(ctx, id, byUser)
	switch {
	case err != nil:
		return say{}, err
	case !ended:
		return sayOf("list.already", "who", p.ClientName), nil
	case len(others) > 0:
		return sayOf("list.done.with", "who", p.ClientName, "others", strings.Join(others, ", ")), nil
	}
	return sayOf("list.done", "who", p.ClientName), nil
}

// fallWith names the clients, among a site's permissions, whose permissions
// fall with one.
func fallWith(p row, rows []row, dependants map[string][]string) (names []string) {
	todo, seen := []string{p.ID}, map[string]bool{p.ID: true}
	for len(todo) > 0 {
		id := todo[0]
		todo = todo[1:]
		for _, d := range dependants[id] {
			if at := slices.IndexFunc(rows, func(q row) bool { return q.ID == d }); at >= 0 && !seen[d] {
				names, todo = append(names, rows[at].ClientName), append(todo, d)
			}
			seen[d] = true
		}
	}
	return names
}

// items are a site's permissions as the list shows them, the newest first.
func (s *Service) items(ctx context.Context, gateway string) ([]listItem, error) {
	now := s.now()
	rows, err := s.rows(ctx, now, `WHERE p.gateway = $2 AND `+ofTenant+` ORDER BY p.last_granted DESC, p.id`, gateway)
	if err != nil {
		return nil, err
	}
	told, err := s.told(ctx, `p.gateway = $1`, gateway)
	if err != nil {
		return nil, err
	}
	dependants, err := s.dependants(ctx, gateway)
	if err != nil {
		return nil, err
	}
	var items []listItem
	for i, p := range rows {
		it := listItem{N: strconv.Itoa(i + 1), Row: p, Live: p.live(now), Ended: !now.Before(p.Expires), Meters: meterLines(p.Covers), By: byKey(p), State: stateOf(p, now),
			Evidence: s.evidenceURL(p.Evidence), Receivers: s.receivers(p.License, s.partNames(p.ClientName, p.Parts)), Told: told[p.ID].say()}
		if it.CanEnd = p.Revoked.IsZero() && !it.Ended; it.CanEnd {
			it.Also = fallWith(p, rows, dependants)
		}
		var on []string
		for _, q := range rows {
			if q.Revoked.IsZero() && slices.Contains(dependants[q.ID], p.ID) {
				on = append(on, q.ClientName)
			}
		}
		it.ReliesOn = strings.Join(on, ", ")
		items = append(items, it)
	}
	return items, nil
}

// told is what became of the messages that tell a client of a withdrawal.
type told struct {
	sent                    time.Time // of the last one
	waiting, dead, messages int
}

func (s *Service) told(ctx context.Context, where, arg string) (map[string]told, error) {
	out := map[string]told{}
	_, err := queryAll(ctx, s.db, func(r *sql.Rows) (struct{}, error) {
		var id string
		var sent int64
		var t told
		err := r.Scan(&id, &t.messages, &sent, &t.dead, &t.waiting)
		if sent != 0 {
			t.sent = unix(sent)
		}
		out[id] = t
		return struct{}{}, err
	}, `SELECT p.id, COUNT(*), MAX(m.sent), SUM(CASE WHEN m.dead <> 0 THEN 1 ELSE 0 END), SUM(CASE WHEN m.dead = 0 AND m.sent = 0 THEN 1 ELSE 0 END)
		FROM messages m JOIN permissions p ON p.id = m.permission WHERE `+where+` GROUP BY p.id`, arg)
	return out, err
}

func (t told) say() say {
	switch {
	case t.messages == 0:
		return say{}
	case t.waiting > 0:
		return sayOf("list.told.not")
	case t.sent.IsZero():
		return sayOf("list.told.never")
	}
	return say{Key: "list.told.on", At: t.sent}
}

// byKey is the key of the words for who withdrew a permission.
func byKey(p row) string {
	if p.Revoked.IsZero() {
		return ""
	}
	return "by." + p.RevokedBy
}

// stateOf is the key of a permission's state.
func stateOf(p row, now time.Time) string {
	switch {
	case !p.Revoked.IsZero():
		return "state.withdrawn"
	case !now.Before(p.Expires):
		return "state.ended"
	case p.Tokens:
		return "state.live"
	}
	return "state.unused"
}
