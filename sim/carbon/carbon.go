// Package carbon is a simulated carbon intensity API: it answers in the shapes
// of the National Energy System Operator's regional API, with believable
// numbers, and with that API's faults at a chosen rate.
//
// Everything it says follows from the outcode, the time and the seed: two
// simulators agree, and an answer can be checked against Intensity.
package carbon

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Options say how it behaves. The zero value answers without a fault.
type Options struct {
	Faults Faults
	Seed   uint64                // of the faults
	Now    func() time.Time      // nil: time.Now
	Wait   func(d time.Duration) // nil: time.Sleep; how Slow passes its time
	Seen   func(path string)     // nil: nobody; told of every request
}

// Faults are the API's known faults, each with the share of requests (0 to 1)
// that it hits.
type Faults struct {
	Array       float64 // data as an array, as the documentation has it
	Empty       float64 // 200 with {}
	Error       float64 // 500
	Slow        float64 // an answer after Delay
	Delay       time.Duration
	Duplicate   float64 // one half-hour twice, with two values
	Unavailable float64 // 503 with Retry-After and a page of HTML
	Broken      float64 // an answer that breaks off

	// Habits of the real API, always on when set.
	PriorHalfHour bool        // a time at exactly :00 or :30 stands for the half-hour before it
	YearEnd       bool        // a window across the end of a UTC year loses the new year's part
	Gaps          []time.Time // half-hours that it does not have
	Unknown       []string    // outcodes that it does not match; W1, W2, W3 and W7 never are
}

const (
	layout = "2006-01-02T15:04Z"
	half   = 30 * time.Minute
)

var (
	earliest = time.Date(2018, 5, 10, 23, 30, 0, 0, time.UTC)
	outcode  = regexp.MustCompile(`^[A-Z]{1,2}[0-9][0-9A-Z]?$`)
)

type server struct {
	o   Options
	mu  sync.Mutex
	rng *rand.Rand // guarded by mu
}

// Handler serves the API.
func Handler(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = time.Sleep
	}
	s := &server{o: o, rng: rand.New(rand.NewPCG(o.Seed, 1))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /regional/intensity/{from}/{to}/postcode/{outcode}", s.regional)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusInternalServerError, "Requested resource not found.") // sic: the API says 500
	})
	return mux
}

// hit decides a fault.
func (s *server) hit(rate float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rate > 0 && s.rng.Float64() < rate
}

func (s *server) regional(w http.ResponseWriter, r *http.Request) {
	if s.o.Seen != nil {
		s.o.Seen(r.URL.Path)
	}
	f := s.o.Faults
	if s.hit(f.Slow) {
		s.o.Wait(f.Delay)
	}
	if s.hit(f.Unavailable) {
		w.Header().Set("Retry-After", "3")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "<html><body>Service unavailable</body></html>")
		return
	}
	if s.hit(f.Error) {
		refuse(w, http.StatusInternalServerError, "Requested resource not found.")
		return
	}
	from, to, err := s.window(r.PathValue("from"), r.PathValue("to"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	code := strings.ToUpper(r.PathValue("outcode"))
	if !outcode.MatchString(code) || contains(f.Unknown, code) || contains([]string{"W1", "W2", "W3", "W7"}, code) {
		refuse(w, http.StatusBadRequest, "No postcode match can be found.")
		return
	}
	periods := s.periods(code, from, to)
	w.Header().Set("Content-Type", "application/json")
	if len(periods) == 0 || s.hit(f.Empty) {
		fmt.Fprint(w, "{}")
		return
	}
	if s.hit(f.Duplicate) {
		twin := periods[len(periods)/2]
		twin.Intensity.Forecast++
		periods = append(periods, twin)
	}
	region := regionOf(code)
	one := answer{region + 1, regions[region].dno, regions[region].name, code, periods}
	var data any = one
	if s.hit(f.Array) {
		data = []answer{one}
	}
	body, _ := json.Marshal(map[string]any{"data": data}) // our own types: cannot fail
	if s.hit(f.Broken) {
		body = body[:len(body)/2]
	}
	w.Write(body)
}

// apiError is a message in the words of the real API.
type apiError string

func (e apiError) Error() string { return string(e) }

// window reads the two path elements; the second may be fw24h, fw48h or pt24h.
func (s *server) window(a, b string) (from, to time.Time, err error) {
	bad := apiError("Please enter a valid date in ISO8601 format YYYY-MM-DDThh:mmZ.")
	if from, err = parse(a); err != nil {
		return from, to, bad
	}
	switch b {
	case "fw24h":
		return from, from.Add(24 * time.Hour), nil
	case "fw48h":
		return from, from.Add(48 * time.Hour), nil
	case "pt24h":
		return from.Add(-24 * time.Hour), from, nil
	}
	if to, err = parse(b); err != nil || !from.Before(to) {
		return from, to, bad
	}
	if to.Sub(from) > 14*24*time.Hour {
		return from, to, apiError("The maximum date range is limited to 14 days.")
	}
	return from, to, nil
}

func parse(s string) (time.Time, error) {
	t, err := time.Parse(layout, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	return t.UTC(), err
}

type answer struct {
	RegionID  int      `json:"regionid"`
	DNORegion string   `json:"dnoregion"`
	ShortName string   `json:"shortname"`
	Postcode  string   `json:"postcode"`
	Data      []record `json:"data"`
}

type record struct {
	From          string    `json:"from"`
	To            string    `json:"to"`
	Intensity     intensity `json:"intensity"`
	GenerationMix []fuel    `json:"generationmix"`
}

type intensity struct {
	Forecast int64  `json:"forecast"`
	Index    string `json:"index"`
}

type fuel struct {
	Fuel string  `json:"fuel"`
	Perc float64 `json:"perc"`
}

func (s *server) periods(code string, from, to time.Time) []record {
	f := s.o.Faults
	if f.PriorHalfHour {
		from, to = from.Add(-time.Minute), to.Add(-time.Minute)
	}
	horizon := s.o.Now().Add(48 * time.Hour)
	year := from.Year()
	var out []record
	for at := from.Truncate(half); at.Before(to); at = at.Add(half) {
		if at.Before(earliest) || at.After(horizon) || containsTime(f.Gaps, at) {
			continue
		}
		if f.YearEnd && at.Year() != year {
			break
		}
		g := Intensity(code, at)
		gas := math.Round(float64(g)/4.2*10) / 10
		out = append(out, record{at.Format(layout), at.Add(half).Format(layout), intensity{g, index(g)},
			[]fuel{{"gas", gas}, {"wind", math.Round((100-gas)*7) / 10}, {"nuclear", math.Round((100-gas)*3) / 10}}})
	}
	return out
}

// Intensity is the simulated intensity (gCO2/kWh) at an outcode in the
// half-hour that starts at the given time: higher on winter evenings, lower at
// night and at noon in summer, with windy and still days.
func Intensity(code string, at time.Time) int64 {
	at = at.UTC().Truncate(half)
	base := 90 + 12*float64(regionOf(strings.ToUpper(code)))
	year := 2 * math.Pi * float64(at.YearDay()-15) / 365
	hour := float64(at.Hour()) + float64(at.Minute())/60
	winter := 0.5 + 0.5*math.Cos(year) // 1 in mid-January
	evening := math.Exp(-(hour - 18) * (hour - 18) / 8)
	morning := math.Exp(-(hour - 8) * (hour - 8) / 6)
	noon := (1 - winter) * math.Exp(-(hour-13)*(hour-13)/10)
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", strings.ToUpper(code), at.Unix()/86400)
	wind := float64(h.Sum64()%1000) / 1000 // of the day
	g := base * (0.75 + 0.35*winter + 0.45*evening + 0.2*morning - 0.4*noon) * (1.3 - 0.8*wind)
	return max(int64(math.Round(g)), 5)
}

func index(g int64) string {
	for i, limit := range []int64{40, 120, 200, 290} {
		if g < limit {
			return []string{"very low", "low", "moderate", "high"}[i]
		}
	}
	return "very high"
}

var regions = []struct{ dno, name string }{
	{"Scottish Hydro Electric Power Distribution", "North Scotland"}, {"SP Distribution", "South Scotland"},
	{"Electricity North West", "North West England"}, {"NPG North East", "North East England"}, {"NPG Yorkshire", "Yorkshire"},
	{"SP Manweb", "North Wales & Merseyside"}, {"WPD South Wales", "South Wales"}, {"WPD West Midlands", "West Midlands"},
	{"WPD East Midlands", "East Midlands"}, {"UKPN East", "East England"}, {"WPD South West", "South West England"},
	{"SSE South", "South England"}, {"UKPN London", "London"}, {"UKPN South East", "South East England"},
}

// regionOf spreads outcodes over the regions; it is not the real map.
func regionOf(code string) int {
	h := fnv.New32a()
	h.Write([]byte(code))
	return int(h.Sum32() % uint32(len(regions)))
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{
		"code": fmt.Sprintf("%d %s", status, http.StatusText(status)), "message": message}})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

func containsTime(list []time.Time, t time.Time) bool {
	for _, x := range list {
		if x.Equal(t) {
			return true
		}
	}
	return false
}
