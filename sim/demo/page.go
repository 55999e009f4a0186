package demo

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
)

//go:embed bank.html
var bankHTML string

var pages = template.Must(template.New("bank").Parse(bankHTML))

type bankRow struct {
	Month   string
	Kg      string
	Percent int // of the tallest month
}

type bankView struct {
	Rows    []bankRow
	Problem string
	From    string
	Explain string
	Now     string
	Told    []received
}

// servePages shows, in a browser, what the bank's program receives over mutual
// TLS, and the messages to the carbon accountant. It gives the function that
// stops it.
func (d *demo) servePages() func() {
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, page string, v any) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		pages.ExecuteTemplate(w, page, v)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { show(w, "bank", d.bankView(r.Context())) })
	mux.HandleFunc("GET /accountant", func(w http.ResponseWriter, r *http.Request) { show(w, "accountant", d.capInbox.told()) })
	srv := &http.Server{Addr: d.listen(portBank), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go srv.ListenAndServe()
	return func() { srv.Close() }
}

func (d *demo) bankView(ctx context.Context) bankView {
	v := bankView{Now: time.Now().UTC().Format("2 January 2006 15:04 UTC"), From: d.server(), Told: d.inbox.told()}
	from, to := d.months()
	r, err := d.bank.report(ctx, from, to)
	switch {
	case errors.Is(err, errNotYet):
		v.Problem = "The report is on its way: the relay does not have every half-hour yet."
		return v
	case err != nil:
		v.Problem = "The relay gives no report: " + err.Error() + ". Has the business withdrawn its permission?"
		return v
	}
	steps, err := d.checkReport(r)
	if err != nil {
		v.Problem = err.Error() // nothing that is not signed is shown
		return v
	}
	most := 0.0
	for _, e := range r.Data {
		kg, _ := e.Emissions.Value.Float64()
		most = max(most, kg)
	}
	for _, e := range r.Data {
		kg, _ := e.Emissions.Value.Float64()
		v.Rows = append(v.Rows, bankRow{e.From.Format("January 2006"), strconv.FormatFloat(kg, 'f', 1, 64), int(100 * kg / max(most, 1))})
	}
	v.Explain = provenance.Explain(steps)
	return v
}
