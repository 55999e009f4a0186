package neso

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxIntensity is above anything a grid can emit per kWh: coal alone is below
// 1,000 g. A larger number is a fault of the API, not a value.
const maxIntensity = 2000

// region is the API's answer for one place; times and values are taken one by
// one, so that one strange record does not spoil the rest.
type region struct {
	Data []struct {
		From, To  string
		Intensity struct{ Forecast json.RawMessage }
	}
}

// decode reads an answer. data is an object in the live API and an array in
// its documentation; no data is {} or an empty array with status 200; errors
// come as {"error":{"code","message"}}. Records that have no value, are not one
// half-hour long or lie beyond what a grid can emit are left out.
func decode(status int, body []byte) ([]Period, error) {
	var answer struct {
		Data  json.RawMessage
		Error *struct{ Code, Message json.RawMessage }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		if status != http.StatusOK {
			return nil, &Error{status, fmt.Sprintf("no explanation (%.60q)", body)}
		}
		return nil, fmt.Errorf("the answer is not JSON: %.60q", body)
	}
	if answer.Error != nil {
		message := strings.Trim(string(answer.Error.Message), `"`)
		// "400 Bad Request": the code in the body counts where the two differ.
		code, _, _ := strings.Cut(strings.Trim(string(answer.Error.Code), `"`), " ")
		if n, err := strconv.Atoi(code); err == nil && n >= 400 && n < 600 {
			status = n
		}
		return nil, &Error{status, fmt.Sprintf("%.200s", message)}
	}
	if status != http.StatusOK {
		return nil, &Error{status, "no explanation"}
	}
	regions, err := decodeRegions(answer.Data)
	if err != nil {
		return nil, err
	}
	var out []Period
	for _, r := range regions {
		for _, d := range r.Data {
			from, err1 := parseTime(d.From)
			to, err2 := parseTime(d.To)
			g, err3 := strconv.ParseInt(string(d.Intensity.Forecast), 10, 64)
			if err1 != nil || err2 != nil || err3 != nil || !from.Equal(from.Truncate(period)) || to.Sub(from) != period || g < 0 || g > maxIntensity {
				continue
			}
			out = append(out, Period{from, g})
		}
	}
	return out, nil
}

func decodeRegions(data json.RawMessage) ([]region, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	var err error
	var many []region
	if data[0] == '[' {
		err = json.Unmarshal(data, &many)
	} else {
		var one region
		err = json.Unmarshal(data, &one)
		many = []region{one}
	}
	if err != nil {
		return nil, fmt.Errorf("the answer has another form than expected: %w", err)
	}
	if len(many) > 1 {
		return nil, errors.New("the answer is about several regions: one was asked for")
	}
	return many, nil
}

// parseTime takes the API's form and, should it ever change, seconds too.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(layout, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	return t.UTC(), err
}
