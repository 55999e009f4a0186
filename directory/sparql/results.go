package sparql

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// Media types of results.
const (
	TypeJSON = "application/sparql-results+json"
	TypeXML  = "application/sparql-results+xml"
	TypeCSV  = "text/csv"
)

// JSON writes the result as SPARQL 1.1 Query Results JSON.
func (r *Result) JSON() []byte {
	head := map[string]any{}
	doc := map[string]any{"head": head}
	if r.Ask {
		doc["boolean"] = r.Yes
	} else {
		head["vars"] = append([]string{}, r.Vars...)
		bindings := make([]map[string]any, len(r.Rows))
		for i, row := range r.Rows {
			bindings[i] = map[string]any{}
			for j, t := range row {
				if t.Kind != 0 {
					bindings[i][r.Vars[j]] = jsonTerm(t)
				}
			}
		}
		doc["results"] = map[string]any{"bindings": bindings}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(doc) // maps and strings into a buffer: no error
	return b.Bytes()
}

func jsonTerm(t rdf.Term) map[string]string {
	out := map[string]string{"type": "literal", "value": t.Value}
	switch {
	case t.Kind == rdf.IRI:
		out["type"] = "uri"
	case t.Kind == rdf.Blank:
		out["type"] = "bnode"
	case t.Lang != "":
		out["xml:lang"] = t.Lang
	case t.Type != "":
		out["datatype"] = t.Type
	}
	return out
}

// XML writes the result as SPARQL Query Results XML. A control character that
// XML cannot hold becomes U+FFFD.
func (r *Result) XML() []byte {
	var b bytes.Buffer
	esc := func(s string) string {
		var e bytes.Buffer
		xml.EscapeText(&e, []byte(s)) // to a buffer: no error
		return e.String()
	}
	b.WriteString(xml.Header + `<sparql xmlns="http://www.w3.org/2005/sparql-results#">` + "\n<head>")
	for _, v := range r.Vars {
		fmt.Fprintf(&b, `<variable name="%s"/>`, esc(v))
	}
	b.WriteString("</head>\n")
	if r.Ask {
		fmt.Fprintf(&b, "<boolean>%t</boolean>\n</sparql>\n", r.Yes)
		return b.Bytes()
	}
	b.WriteString("<results>\n")
	for _, row := range r.Rows {
		b.WriteString("<result>")
		for i, t := range row {
			if t.Kind == 0 {
				continue
			}
			fmt.Fprintf(&b, `<binding name="%s">`, esc(r.Vars[i]))
			switch {
			case t.Kind == rdf.IRI:
				b.WriteString("<uri>" + esc(t.Value) + "</uri>")
			case t.Kind == rdf.Blank:
				b.WriteString("<bnode>" + esc(t.Value) + "</bnode>")
			case t.Lang != "":
				fmt.Fprintf(&b, `<literal xml:lang="%s">%s</literal>`, esc(t.Lang), esc(t.Value))
			case t.Type != "":
				fmt.Fprintf(&b, `<literal datatype="%s">%s</literal>`, esc(t.Type), esc(t.Value))
			default:
				b.WriteString("<literal>" + esc(t.Value) + "</literal>")
			}
			b.WriteString("</binding>")
		}
		b.WriteString("</result>\n")
	}
	b.WriteString("</results>\n</sparql>\n")
	return b.Bytes()
}

// CSV writes the result as SPARQL 1.1 Query Results CSV: texts alone, without
// their types. For ASK, for which the format says nothing, it is true or false
// on one line. (encoding/csv is not used: with the format's line ends it would
// change those within texts too.)
func (r *Result) CSV() []byte {
	if r.Ask {
		return []byte(strconv.FormatBool(r.Yes) + "\r\n")
	}
	var b bytes.Buffer
	line := func(fields []string) {
		for i, f := range fields {
			if strings.ContainsAny(f, "\",\r\n") {
				fields[i] = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
			}
		}
		b.WriteString(strings.Join(fields, ",") + "\r\n")
	}
	line(slices.Clone(r.Vars))
	for _, row := range r.Rows {
		fields := make([]string, len(row))
		for i, t := range row {
			if fields[i] = t.Value; t.Kind == rdf.Blank {
				fields[i] = "_:" + t.Value
			}
		}
		line(fields)
	}
	return b.Bytes()
}
