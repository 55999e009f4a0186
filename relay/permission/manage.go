package permission

import (
	"errors"
	"net/http"
	"time"
)

// listPage shows every permission of a site.
type listPage struct {
	Site   Site
	Code   string
	Notice string
	Items  []listItem
}

type listItem struct {
	Row       row
	State     string
	Live      bool // data may flow
	Ended     bool // by its date
	CanEnd    bool
	Receivers []receiver
	Meters    []meterLine
	Evidence  string
}

// showPermissions asks for the meter code.
func (s *Service) showPermissions(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "permissions", findPage{})
}

// postPermissions lists the permissions of the site with the code. It is a
// POST so that the code is in no address, history or log.
func (s *Service) postPermissions(w http.ResponseWriter, r *http.Request) { s.list(w, r, false) }

// postWithdraw withdraws one of them.
func (s *Service) postWithdraw(w http.ResponseWriter, r *http.Request) { s.list(w, r, true) }

func (s *Service) list(w http.ResponseWriter, r *http.Request, withdraw bool) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return
	}
	site, code, err := s.siteByCode(r, f.Get("code"))
	var ue *userError
	if errors.As(err, &ue) {
		retryAfter(w, ue)
		s.render(w, r, ue.Status, "permissions", findPage{Code: cleanName(f.Get("code")), Problem: ue.Text})
		return
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	p := listPage{Site: site, Code: code}
	if withdraw {
		if p.Notice, err = s.withdrawOf(r, site, f.Get("permission")); err != nil {
			s.pageError(w, r, err)
			return
		}
	}
	now := s.now()
	rows, err := s.rows(r.Context(), now, `WHERE p.gateway = $2 ORDER BY p.last_granted DESC, p.id`, site.Gateway)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	for _, q := range rows {
		p.Items = append(p.Items, s.listItem(q, now))
	}
	s.render(w, r, http.StatusOK, "list", p)
}

// withdrawOf withdraws a permission if it is one of the site's, and says what
// happened.
func (s *Service) withdrawOf(r *http.Request, site Site, id string) (notice string, err error) {
	rows, err := s.rows(r.Context(), s.now(), `WHERE p.id = $2 AND p.gateway = $3`, id, site.Gateway)
	if err != nil {
		return "", err
	}
	if len(rows) == 0 {
		return "", &userError{Status: http.StatusNotFound, Text: "This site has no such permission."}
	}
	if _, err := s.withdraw(r.Context(), id, byUser); err != nil {
		return "", err
	}
	return "Withdrawn. " + rows[0].ClientName + " gets nothing more.", nil
}

func (s *Service) listItem(p row, now time.Time) listItem {
	it := listItem{Row: p, Live: p.live(now), Ended: !now.Before(p.Expires), Meters: meterLines(p.Covers),
		Evidence: s.evidenceURL(p.Evidence), Receivers: s.receivers(p.License, s.partNames(p.ClientName, p.Parts))}
	it.CanEnd = p.Revoked.IsZero() && !it.Ended
	it.State = stateOf(p, now)
	return it
}

// stateOf names a permission's state in a word or few.
func stateOf(p row, now time.Time) string {
	switch {
	case !p.Revoked.IsZero():
		return "Withdrawn"
	case !now.Before(p.Expires):
		return "Ended"
	case p.Tokens:
		return "In force"
	}
	return "Agreed, not in use"
}
