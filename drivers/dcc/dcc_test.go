package dcc

import (
	"slices"
	"testing"
)

func TestFormats(t *testing.T) {
	if got := Formats(); !slices.Equal(got, []string{"csv", "glow", "glowmarkt", "n3rgy"}) {
		t.Errorf("formats %q", got)
	}
}

func TestCheckURL(t *testing.T) {
	for _, c := range []struct {
		format, url string
		ok          bool
	}{
		{"csv", "file:///var/lib/drop", true}, {"csv", "file:///var/lib/drop?label=end", true}, {"csv", "file:///var/lib/drop?label=start", true},
		{"csv", "file:///var/lib/drop?label=middle", false}, {"csv", "file:///var/lib/drop?x=1", false}, {"csv", "/var/lib/drop", false}, {"csv", "file://host/drop", false}, {"csv", "file:drop", false}, {"csv", "https://x/", false},
		{"glow", "mqtt://host", true}, {"glow", "mqtts://host:8883/site/glow", true}, {"glow", "mqtt://me:pass@host", false}, {"glow", "mqtt://host/glow/#", false}, {"glow", "mqtt://host/+/x", false}, {"glow", "https://host", false}, {"glow", "mqtt:", false},
		{"n3rgy", "https://api-v2.data.n3rgy.com", true}, {"n3rgy", "https://x?version=1", true}, {"n3rgy", "https://x?version=3", false}, {"n3rgy", "http://x", false}, {"n3rgy", "https://me:pass@x", false}, {"n3rgy", "ftp://x", false}, {"n3rgy", "x", false},
		{"n3rgy", "http://127.0.0.1:8480", true}, {"n3rgy", "http://localhost:8480", true}, {"n3rgy", "http://[::1]:8480", true}, {"n3rgy", "http://10.0.0.1", false},
		{"glowmarkt", "https://api.glowmarkt.com/api/v0-1", true}, {"glowmarkt", "http://api.glowmarkt.com", false},
		{"duis", "https://x", false},
	} {
		if err := CheckURL(c.format, c.url); (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.format, c.url, err)
		}
	}
}
