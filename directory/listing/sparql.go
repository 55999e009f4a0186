package listing

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
	"github.com/perseus-edge/perseus-edge/directory/sparql"
)

// Bounds of the SPARQL endpoint, besides those of a query (sparql.Limits).
const (
	queriesAtOnce = 4               // under way; further ones wait
	queriesEach   = 2               // under way or waiting, of one address (IPv6: of one /64)
	queryWait     = 5 * time.Second // for a place
	shownRows     = 1000            // on a page for people
)

// sparql serves GET and POST /sparql (SPARQL 1.1 Protocol, query operation).
func (s *Server) sparql(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "Accept")
	kind := rdf.Negotiate(r.Header.Values("Accept"), sparql.TypeJSON, rdf.TypeJSON, sparql.TypeXML, "application/xml", sparql.TypeCSV, rdf.TypeHTML)
	if kind == "" {
		return answer.Refuse(http.StatusNotAcceptable, "not_acceptable", "Results are here as application/sparql-results+json, application/sparql-results+xml, text/csv and text/html.")
	}
	text, err := queryText(r)
	if err != nil {
		return err
	}
	if kind == rdf.TypeHTML {
		return s.sparqlHTML(w, r, text)
	}
	result, err := s.answer(w, r, text)
	if err != nil {
		return err
	}
	var body []byte
	switch kind {
	case sparql.TypeCSV:
		kind, body = "text/csv; charset=utf-8", result.CSV()
	case sparql.TypeXML, "application/xml":
		body = result.XML()
	default:
		body = result.JSON()
	}
	if r.Method == http.MethodPost {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", kind)
		w.Write(body)
		return nil
	}
	rdf.Send(w, r, kind, body, listingAge)
	return nil
}

// answer runs a query over the listing.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, text string) (*sparql.Result, error) {
	if text == "" {
		return nil, fault.Invalid("query: send a SPARQL query in the parameter query, or as the body with Content-Type: application/sparql-query")
	}
	var place *lexer.Error
	q, err := sparql.Parse(text, sparql.Limits{})
	if errors.As(err, &place) {
		return nil, fault.Invalid("query: %v", err)
	} else if err != nil {
		return nil, err
	}
	leave, err := s.queries.enter(r.Context(), directory.GuardKey(s.ClientAddress(r)))
	if err != nil {
		w.Header().Set("Retry-After", "10")
		return nil, err
	}
	defer leave()
	l, err := s.listing(r.Context())
	if err != nil {
		return nil, err
	}
	result, err := q.Run(r.Context(), s.dataset(l))
	if errors.Is(err, sparql.ErrRefused) {
		return nil, answer.Refuse(http.StatusBadRequest, "query_refused", err.Error())
	}
	return result, err
}

// queryText finds the query in a request. Whatever would make the endpoint
// read other data than its own is refused by name.
func queryText(r *http.Request) (string, error) {
	values := r.URL.Query()
	if r.Method == http.MethodPost {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		b, readErr := io.ReadAll(r.Body)
		if readErr != nil {
			return "", readErr
		}
		switch {
		case err == nil && kind == "application/sparql-query":
			values.Add("query", string(b))
		case err == nil && kind == "application/x-www-form-urlencoded":
			form, err := url.ParseQuery(string(b))
			if err != nil {
				return "", fault.Invalid("the body is not a form")
			}
			for k, v := range form {
				values[k] = append(values[k], v...)
			}
		default:
			return "", answer.Refuse(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send a form with the field query, or the query itself with Content-Type: application/sparql-query.")
		}
	}
	for _, name := range []string{"default-graph-uri", "named-graph-uri", "using-graph-uri", "using-named-graph-uri"} {
		if values.Has(name) {
			return "", fault.Invalid("%s is not served: a query reads this directory's own listing, and nothing else", name)
		}
	}
	if values.Has("update") {
		return "", fault.Invalid("update is not served: nothing can be changed here")
	}
	if len(values["query"]) > 1 {
		return "", fault.Invalid("query: send one query, not %d", len(values["query"]))
	}
	return values.Get("query"), nil
}

const exampleQuery = `PREFIX schema: <http://schema.org/>
PREFIX ib1: <https://registry.trust.ib1.org/ns/1.0#>

SELECT ?member ?name ?role
WHERE {
  ?member a schema:Organization ;
          schema:legalName ?name .
  OPTIONAL { ?member ib1:role ?role }
}
ORDER BY ?name
LIMIT 20`

// cell is a value in the table for people.
type cell struct {
	Text, URL string
}

// sparqlHTML is a page with a form, and the answer in a table.
func (s *Server) sparqlHTML(w http.ResponseWriter, r *http.Request, text string) error {
	v := struct {
		Query, Error  string
		Asked, Cut    bool
		Ask, Yes      bool
		Vars          []string
		Rows          [][]cell
		Count, Showed int
	}{Query: text, Asked: text != "", Showed: shownRows}
	status := http.StatusOK
	if v.Asked {
		result, err := s.answer(w, r, text)
		var he *answer.Error
		switch {
		case errors.Is(err, fault.ErrInvalid):
			v.Error, status = err.Error()[len(fault.ErrInvalid.Error())+2:], http.StatusBadRequest
		case errors.As(err, &he):
			v.Error, status = he.Description, he.Status
		case err != nil:
			return err
		default:
			v.Ask, v.Yes, v.Vars, v.Count = result.Ask, result.Yes, result.Vars, len(result.Rows)
			v.Cut = v.Count > shownRows
			for _, row := range result.Rows[:min(shownRows, v.Count)] {
				cells := make([]cell, len(row))
				for i, t := range row {
					cells[i].Text = t.Value
					if t.Kind == rdf.IRI {
						cells[i].URL = t.Value
					}
				}
				v.Rows = append(v.Rows, cells)
			}
		}
	} else {
		v.Query = exampleQuery
	}
	var b bytes.Buffer
	if err := sparqlPage.ExecuteTemplate(&b, "layout", v); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}
