package permission

import (
	"database/sql"
	"errors"
	"net/http"
	"time"
)

// evidencePage shows a permission and every grant and renewal of it.
type evidencePage struct {
	Row               row
	State, By         string // keys
	Live              bool
	Told              say    // whether the client knows of the withdrawal
	SiteName, Outcode string // at the last grant
	Grants            []grantEntry
}

// grantEntry is one entry of the log of grants.
type grantEntry struct {
	Granted, Expires     time.Time
	Renewal              bool
	Site, Outcode, Agent string
	How                  string // key
	Blocks               []block
	Meters               []meterLine
}

// showEvidence is the evidence page: whoever has its address may read it (IB1
// permission-records 1.0, Evidence URLs), so the browser's IP address, which
// the log has, is not on it.
func (s *Service) showEvidence(w http.ResponseWriter, r *http.Request) {
	now := s.now()
	rows, err := s.rows(r.Context(), now, `WHERE p.evidence = $2`, r.PathValue("key"))
	if err == nil && len(rows) == 0 {
		s.message(w, r, http.StatusNotFound, "error.nothing", sayOf("evidence.nothing"))
		return
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	p := evidencePage{Row: rows[0], State: stateOf(rows[0], now), By: byKey(rows[0]), Live: rows[0].live(now)}
	known, err := s.told(r.Context(), `p.id = $1`, p.Row.ID)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	p.Told = known[p.Row.ID].say()
	p.Grants, err = queryAll(r.Context(), s.db, scanEntry, `SELECT granted, expires, site_name, outcode, user_agent, words, covers, how
		FROM permission_grants WHERE permission = $1 ORDER BY granted, id`, p.Row.ID)
	if err == nil && len(p.Grants) == 0 {
		err = errors.New("a permission without a grant in the log: " + p.Row.ID)
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	for i := range p.Grants {
		p.Grants[i].Renewal = i > 0
	}
	last := p.Grants[len(p.Grants)-1]
	p.SiteName, p.Outcode = last.Site, last.Outcode
	s.render(w, r, http.StatusOK, "evidence", p)
}

func scanEntry(r *sql.Rows) (e grantEntry, err error) {
	var granted, expires int64
	var words, covers, how string
	if err := r.Scan(&granted, &expires, &e.Site, &e.Outcode, &e.Agent, &words, &covers, &how); err != nil {
		return e, err
	}
	e.Granted, e.Expires, e.Blocks, e.Agent = unix(granted), unix(expires), blocks(words), cleanAgent(e.Agent)
	e.How = map[string]string{howGateway: "evidence.how.text", howPrinted: "evidence.how.printed", howAccount: "evidence.how.account"}[how]
	cs, err := decodeCovers(covers)
	e.Meters = meterLines(cs)
	return e, err
}
