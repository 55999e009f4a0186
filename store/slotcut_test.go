package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A slot is cut off at each byte, over an older one and over a longer one, and
// its sectors arrive in any order: what is read is the slot that was there
// before, or all of the new one.
func TestSlotCutAnywhere(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	path := filepath.Join(fastDir(t), "x"+checkpointSuffix)
	on := base{7, [16]byte{1}}
	lines := func(n, size int) (all []line) {
		for i := range n {
			l := line{id: uint32(i + 1), has: true, state: make([]byte, size)}
			for j := range l.state {
				l.state[j] = byte(random.Uint32())
			}
			all = append(all, l)
		}
		return all
	}
	c := &slotPair{path: path}
	for _, size := range []int{1500, 400, 900} { // the first makes the file; each slot is written once
		must(t, c.write(on, lines(5, size)))
		c.flip()
	}
	c.close()
	before, err := os.ReadFile(path)
	must(t, err)
	c = &slotPair{path: path}
	old, ok, _, err := c.open(on)
	if err != nil || !ok || old.number != 3 {
		t.Fatal(old.number, ok, err)
	}
	must(t, c.write(on, lines(5, 1200)))
	c.close()
	after, err := os.ReadFile(path)
	must(t, err)
	check := func(image []byte, what string) uint64 {
		must(t, os.WriteFile(path, image, 0o600))
		c := &slotPair{path: path}
		got, ok, _, err := c.open(on)
		c.close()
		if err != nil || !ok || got.number != 3 && got.number != 4 {
			t.Fatalf("%s: slot %d, %v, %v", what, got.number, ok, err)
		}
		return got.number
	}
	from := 0
	for before[from] == after[from] {
		from++
	}
	from = from / slotPage * slotPage
	length, err := slotLength(after[from:])
	must(t, err)
	for n := range length + 1 {
		number := check(slices.Concat(after[:from+n], before[from+n:]), fmt.Sprint("cut off at byte ", n))
		if whole := bytes.Equal(after[from+n:from+length], before[from+n:from+length]); whole != (number == 4) {
			t.Fatalf("cut off at byte %d of %d, slot %d is read", n, length, number)
		}
	}
	for range 500 {
		image := bytes.Clone(before)
		for at := from; at < from+length; at += 512 {
			if random.IntN(3) > 0 {
				copy(image[at:at+512], after[at:])
			}
		}
		if number := check(image, "sectors in any order"); (number == 4) != bytes.Equal(image[from:from+length], after[from:from+length]) {
			t.Fatalf("slot %d", number)
		}
	}
}
