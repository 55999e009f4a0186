package main

import (
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const smapsOfAgent = `00400000-00c89000 r-xp 00000000 fe:00 77                               /usr/local/bin/perseus-agent
Rss:                7588 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
00c89000-015d2000 r--p 00889000 fe:00 77                               /usr/local/bin/perseus-agent
Rss:                8484 kB
Anonymous:             0 kB
015d2000-01648000 rw-p 011d2000 fe:00 77                               /usr/local/bin/perseus-agent
Anonymous:             0 kB
01648000-0368d000 rw-p 00000000 00:00 0
Anonymous:           104 kB
0368d000-03690000 r--p 00889000 fe:00 77                               /usr/local/bin/perseus-agent
Anonymous:             4 kB
7fb45c200000-7fb45ca00000 r--s 00000000 fe:00 78                       /var/lib/perseus-edge/agent.db
Anonymous:             0 kB
7fb45cb00000-7fb45cc00000 r-xp 00000000 fe:00 79                       /usr/lib/libc.so.6
Anonymous:             0 kB
`

// Only what is the program's own file and will come back from it is let go of:
// not data, not relocated pages, no other file.
func TestWhatIsLetGoOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		smaps  string
		within uintptr
		want   []span
	}{
		{"text and constants", smapsOfAgent, 0x400010, []span{{0x400000, 0xc89000}, {0xc89000, 0x15d2000}}},
		{"a breakpoint in the text", strings.Replace(smapsOfAgent, "Anonymous:             0 kB\nVmFlags", "Anonymous:             4 kB\nVmFlags", 1), 0x400010, []span{{0xc89000, 0x15d2000}}},
		{"code that is in no file", smapsOfAgent, 0x1650000, nil},
		{"code that is nowhere", smapsOfAgent, 0x10, nil},
		{"no smaps", "", 0x400010, nil},
		{"cut off", smapsOfAgent[:40], 0x400010, nil},
	} {
		if got := untouched(strings.NewReader(c.smaps), c.within); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %x, want %x", c.name, got, c.want)
		}
	}
}

// The pages of the running program go, and the program goes on.
func TestLetGoOfProgram(t *testing.T) {
	if len(program()) == 0 {
		t.Fatal("the program's own file is not found in /proc/self/smaps")
	}
	before := residentFile(t)
	letGoOfProgram()
	if after := residentFile(t); after >= before {
		t.Errorf("resident of files: %d KiB before, %d KiB after", before, after)
	}
}

// residentFile is how much of mapped files is in memory, KiB.
func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		t.Fatal("no RssFile in /proc/self/status")
	}
	n, err := strconv.Atoi(f[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
