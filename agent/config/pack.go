package config

import "strings"

// pack copies the words of the meters into one string. As they come from the
// parser each lies alone among what it threw away, and keeps a page of memory
// that is otherwise empty: a MiB with 1,000 meters.
func (c *Config) pack() {
	var all []*string
	for i := range c.Meters {
		m := &c.Meters[i]
		all = append(all, &m.ID, &m.Bus, &m.Template, &m.Device, &m.Metadata, &m.Serial, &m.CT, &m.VT, &m.MPAN, &m.MPRN, &m.Zone, &m.CheckMeter)
	}
	at := map[string]int{} // where a word is
	var words strings.Builder
	for _, s := range all {
		if _, known := at[*s]; !known {
			at[*s] = words.Len()
			words.WriteString(*s)
		}
	}
	packed := strings.Clone(words.String()) // of no more room than it takes
	for _, s := range all {
		from := at[*s]
		*s = packed[from : from+len(*s)]
	}
}
