package jsonpoint

import (
	"fmt"
	"regexp"
	"strings"
)

// Topic is a topic template, "bms/{site}/{device}/{point}": what stands in
// braces is captured and can be used in paths. The MQTT wildcards + and # are
// allowed as levels.
type Topic struct {
	filter string
	exact  bool // no wildcard in it: the filter is the topic
	re     *regexp.Regexp
	names  []string
}

var capture = regexp.MustCompile(`\{([a-zA-Z][a-zA-Z0-9_]*)\}`)

// ParseTopic reads a template. The captures that are known already, such as
// device and point, are put in.
func ParseTopic(template string, known map[string]string) (Topic, error) {
	var t Topic
	for _, text := range known {
		if strings.ContainsAny(text, "+#\x00") {
			return t, fmt.Errorf("topic %q: the name %q has a wildcard in it", template, text)
		}
	}
	s := expand(template, known)
	if s == "" || len(s) > 0xFFFF || strings.Contains(s, "\x00") {
		return t, fmt.Errorf("topic %q: give the topic on which the point is published", template)
	}
	levels := strings.Split(s, "/")
	re := make([]string, 0, len(levels))
	t.exact = true
	for i, level := range levels {
		switch {
		case level == "#" && i == len(levels)-1:
			t.exact = false
			// It matches the level above it, too.
			pattern := "^" + strings.Join(re, "/") + "(?:/.*)?$"
			if i == 0 {
				pattern = "^[^$].*$"
			}
			return t.finish(s, levels, pattern)
		case level == "+":
			t.exact = false
			re = append(re, `[^/]*`)
		case strings.ContainsAny(level, "+#"):
			return t, fmt.Errorf("topic %q: + stands for a whole level, # for all after the last /", template)
		case capture.MatchString(level):
			t.exact = false
			pattern, end := "", 0
			for _, at := range capture.FindAllStringSubmatchIndex(level, -1) {
				pattern += regexp.QuoteMeta(level[end:at[0]]) + `([^/]+?)`
				t.names = append(t.names, level[at[2]:at[3]])
				end = at[1]
			}
			re = append(re, pattern+regexp.QuoteMeta(level[end:]))
			levels[i] = "+"
		default:
			re = append(re, regexp.QuoteMeta(level))
		}
	}
	return t.finish(s, levels, "^"+strings.Join(re, "/")+"$")
}

func (t Topic) finish(s string, levels []string, pattern string) (Topic, error) {
	t.filter = strings.Join(levels, "/")
	if t.exact {
		return t, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return t, fmt.Errorf("topic %q: %w", s, err)
	}
	t.re = re
	return t, nil
}

// Filter is what to subscribe to.
func (t Topic) Filter() string { return t.filter }

// Exact reports whether only the one topic Filter is meant.
func (t Topic) Exact() bool { return t.exact }

// Match compares a topic with the template, and gives what it captured.
func (t Topic) Match(topic string) (map[string]string, bool) {
	if t.exact {
		return nil, topic == t.filter
	}
	got := t.re.FindStringSubmatch(topic)
	if got == nil {
		return nil, false
	}
	if len(t.names) == 0 {
		return nil, true
	}
	captures := make(map[string]string, len(t.names))
	for i, name := range t.names {
		if old, ok := captures[name]; ok && old != got[i+1] {
			return nil, false // {x} twice must be the same twice
		}
		captures[name] = got[i+1]
	}
	return captures, true
}
