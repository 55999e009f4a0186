package main

import (
	"bufio"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// letGoOfProgram gives up the pages of the program's own file that were read so
// far: what only the start, a page or a scrape needed goes, the rest comes back
// from the system's cache at some microseconds for 64 KiB. docs/decisions/0026.
func letGoOfProgram() {
	for _, s := range program() {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, s.from, s.to-s.from, syscall.MADV_DONTNEED)
	}
}

// program is where this process has its own file mapped, which never changes.
var program = sync.OnceValue(func() []span {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer f.Close()
	return untouched(f, reflect.ValueOf(untouched).Pointer())
})

// span is a stretch of addresses, without its end.
type span struct{ from, to uintptr }

// untouched gives, of smaps (proc_pid_smaps(5)), the mappings of the file that
// has an address in it, where they are private, cannot be written and have no
// page that is not the file's any more (relocated, or a debugger's): those would
// not come back.
func untouched(smaps io.Reader, within uintptr) []span {
	type mapping struct {
		span
		file   string
		locked bool // private, and not to be written
		same   bool // as the file, in every page
	}
	var all []mapping
	file := ""
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 2 {
			continue
		}
		if f[0] == "Anonymous:" && len(all) > 0 {
			all[len(all)-1].same = f[1] == "0"
		}
		from, to, ok := addresses(f[0])
		if !ok || len(f) < 5 {
			continue
		}
		m := mapping{span: span{from, to}, file: f[3] + " " + f[4], locked: f[1] == "r-xp" || f[1] == "r--p"}
		if from <= within && within < to && f[4] != "0" {
			file = m.file
		}
		all = append(all, m)
	}
	var out []span
	for _, m := range all {
		if m.locked && m.same && m.file == file {
			out = append(out, m.span)
		}
	}
	return out
}

// addresses reads "00400000-00c85000".
func addresses(s string) (from, to uintptr, ok bool) {
	a, b, ok := strings.Cut(s, "-")
	x, err1 := strconv.ParseUint(a, 16, strconv.IntSize)
	y, err2 := strconv.ParseUint(b, 16, strconv.IntSize)
	return uintptr(x), uintptr(y), ok && err1 == nil && err2 == nil
}
