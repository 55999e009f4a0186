package dcc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// n3rgy is a user of the smart meter network that gives its data on, with the
// occupant's consent. A device's Name is its MPAN or MPRN (any of the property's
// will do). Version 2 (api-v2.data.n3rgy.com) wants the key in x-api-key; version
// 1 (?version=1) wanted it in Authorization, and its interface for consumers
// (consumer-api.data.n3rgy.com) the display's MAC, of one property.
type n3rgy struct {
	web
	key     string
	version n3rgyVersion
}

type n3rgyVersion int

const (
	n3rgy2         n3rgyVersion = 2
	n3rgy1         n3rgyVersion = 1
	n3rgy1Consumer n3rgyVersion = 0
)

const n3rgyExample = "https://api-v2.data.n3rgy.com"

func checkN3rgy(s string) error {
	if err := checkWeb(n3rgyExample)(s); err != nil {
		return err
	}
	u, _ := url.Parse(s)
	_, err := n3rgyVersionOf(u)
	return err
}

func n3rgyVersionOf(u *url.URL) (n3rgyVersion, error) {
	consumer := strings.HasPrefix(u.Hostname(), "consumer-api")
	switch {
	case u.RawQuery == "version=consumer", u.RawQuery == "" && consumer:
		return n3rgy1Consumer, nil
	case u.RawQuery == "version=1":
		return n3rgy1, nil
	case u.RawQuery == "version=2", u.RawQuery == "":
		return n3rgy2, nil
	}
	return 0, fmt.Errorf("url %s: write ?version=1, ?version=2 (what is taken where nothing is written) or ?version=consumer", u)
}

func openN3rgy(c Config) (drivers.Listener, error) {
	if len(c.URLs) != 1 {
		return nil, errors.New("n3rgy has one url")
	}
	if c.Token == "" {
		return nil, errors.New("the key is missing: write token_file: the file that holds n3rgy's API key")
	}
	u, err := url.Parse(c.URLs[0])
	if err != nil {
		return nil, err
	}
	v, err := n3rgyVersionOf(u)
	if err != nil {
		return nil, err
	}
	for _, d := range c.Devices {
		for _, m := range d.Measures {
			if m != energy.Import && m != energy.Export && m != energy.Gas {
				return nil, fmt.Errorf("meter %s: n3rgy does not give %s: it has import, export and gas", d.Meter, m)
			}
		}
		if v != n3rgy1Consumer && (d.Name == "" || len(d.Name) > 13 || strings.Trim(d.Name, "0123456789") != "") {
			return nil, fmt.Errorf("meter %s: device %q is no MPAN or MPRN: write its digits", d.Meter, d.Name)
		}
	}
	return newPuller(c, &n3rgy{web: newWeb(c), key: c.Token, version: v}), nil
}

// What n3rgy allows (feeds.md 2.4), and its own pace: it asks the meters once a
// day.
func (n *n3rgy) span() time.Duration  { return 90 * 24 * time.Hour }
func (n *n3rgy) every() time.Duration { return 6 * time.Hour }

// minutes is n3rgy's way to write a time, UTC.
const minutes = "200601021504"

func (n *n3rgy) fetch(ctx context.Context, s *series, from, to time.Time) ([]half, error) {
	utility, kind := "electricity", "consumption"
	switch s.measure {
	case energy.Gas:
		utility = "gas"
	case energy.Export:
		kind = "production"
	}
	// Its times are ends: the first is half an hour after from.
	first, last := from.Add(energy.Period).Format(minutes), to.Format(minutes)
	path, header := "", "Authorization"
	switch n.version {
	case n3rgy2:
		header = "x-api-key"
		path = fmt.Sprintf("/mpxn/%s/utility/%s/readingtype/%s?start=%s&end=%s&granularity=halfhour&outputFormat=json", s.name, utility, kind, first, last)
	case n3rgy1:
		path = fmt.Sprintf("/%s/%s/%s/1?start=%s&end=%s", s.name, utility, kind, first, last)
	default:
		path = fmt.Sprintf("/%s/%s/1?start=%s&end=%s", utility, kind, first, last)
	}
	data, err := n.ask(ctx, "GET", path, nil, map[string]string{header: n.key})
	if err != nil {
		return nil, err
	}
	return decodeN3rgy(data, s.measure)
}
