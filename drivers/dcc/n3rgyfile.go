package dcc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
)

// LayoutN3rgy is the layout of an answer of n3rgy's that was saved as a file.
const LayoutN3rgy = "n3rgy JSON"

// n3rgyResource is what an answer says it is of, version 1 or 2.
var n3rgyResource = regexp.MustCompile(`^/(?:mpxn/)?([0-9]{1,13})/(?:utility/)?(electricity|gas)/(?:readingtype/)?(consumption|import|production|export)\b`)

// parseN3rgy reads an answer of n3rgy's that was saved as a file, and says which
// meter it is of. ok is false where it is none.
func parseN3rgy(data []byte, now time.Time) (f *hhfile.File, ok bool, err error) {
	var head struct {
		Resource string `json:"resource"`
	}
	if json.NewDecoder(bytes.NewReader(data)).Decode(&head) != nil {
		return nil, false, nil
	}
	of := n3rgyResource.FindStringSubmatch(head.Resource)
	if of == nil {
		return nil, false, nil
	}
	s := hhfile.Series{ID: of[1], Measure: energy.Import}
	switch {
	case of[2] == "gas":
		s.Measure = energy.Gas
	case of[3] == "production" || of[3] == "export":
		s.Measure = energy.Export
	}
	all, err := decodeN3rgy(data, s.Measure)
	if err != nil {
		return nil, true, err
	}
	f = &hhfile.File{Layout: LayoutN3rgy, Label: hhfile.End}
	for _, h := range tidy(all, now) {
		if h.wrong != "" {
			f.Problems = append(f.Problems, hhfile.Problem{What: fmt.Sprintf("the half-hour that ends %s has no value: %s", h.end.Format(time.RFC3339), h.wrong)})
			continue
		}
		s.HalfHours = append(s.HalfHours, energy.HalfHour{Start: h.end.Add(-energy.Period), Energy: h.value, Cumulative: -1, Quality: energy.Measured})
	}
	f.Series = []hhfile.Series{s}
	return f, true, nil
}
